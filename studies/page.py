"""Pages of docs/ and the README of each study's results: the figures come from the files, the prose from templates.

docs/report.md is made of the six studies of the report's claims; every other study has a page of its own.

python -m studies.page
"""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
import tyro

from keras_ddpm.cli.run import run
from keras_ddpm.files import write_text
from studies import (
    ablations,
    arms,
    augmentation,
    claims,
    configuration,
    guidance,
    privacy,
    recognition,
    schedules,
    steps,
    study,
)

Contents = dict[str, dict[str, Any]]

TEMPLATE = pathlib.Path(__file__).with_name("report.md.j2")
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "report.md"
FOLDER = pathlib.Path(__file__).with_name("folder.md.j2")
OF_REPORT = {
    "configuration": configuration,
    "recognition": recognition,
    "guidance": guidance,
    "steps": steps,
    "schedules": schedules,
    "ablations": ablations,
}
ALONE = {"augmentation": augmentation, "privacy": privacy}
"""Studies with a page of their own, each with a template of its name."""
STUDIES = OF_REPORT | ALONE


def read(folder: pathlib.Path = study.RESULTS) -> Contents:
    """The results of all studies: dict from a study's name to its file's content, without rows if there is no file."""
    return {name: _content(folder / name / study.ROWS) for name in STUDIES}


def _content(file):
    if not file.is_file():
        return {"command": f"python -m studies.{file.parent.name}", "settings": {}, "rows": {}}
    return json.loads(file.read_text())


def render(results: Contents) -> str:
    """The page of the report.

    Args:
        results: What `read` returns.

    Returns:
        Markdown text.

    Raises:
        jinja2.UndefinedError: if the text names a figure that is not there.
    """
    results = {name: results[name] for name in OF_REPORT}
    text = _template(TEMPLATE).render(
        results,
        claims=claims.table(results),
        commands={name: arms.command(name) for name in arms.ARMS},
        own=study.Options().sampling(),
        ws=guidance.WS,
        samplers=list(steps.SAMPLERS),
        step_counts=steps.STEPS,
        repeated=steps.REPEATED,
        epochs_shown=configuration.SHOWN,
        missing=missing(results),
        machines=machines(results),
        pictures={path.relative_to(study.RESULTS).as_posix() for path in study.RESULTS.glob("*/*.*")},
    )
    return text.replace("<!-- contents -->", contents(text))


def page_of(name: str) -> pathlib.Path:
    """The page that says what a study's figures mean."""
    return PAGE if name in OF_REPORT else PAGE.with_name(f"{name}.md")


def render_alone(name: str, content: dict[str, Any]) -> str:
    """The page of one study.

    Args:
        name: Key of `ALONE`.
        content: Content of its file.

    Returns:
        Markdown text.
    """
    machine = machines({name: content})
    return _template(TEMPLATE.with_name(f"{name}.md.j2")).render(content, study=ALONE[name], machines=machine)


def contents(text: str) -> str:
    """The table of contents of a page.

    Args:
        text: Markdown with headings of the levels 2 and 3.

    Returns:
        A list in Markdown, whose links are the anchors that GitHub gives to the headings.
    """
    lines = []
    for marks, title in re.findall(r"^(##|###) (.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        lines.append(f"{'  ' * (len(marks) - 2)}- [{title}](#{anchor})")
    return "\n".join(lines)


def render_folder(name: str, content: dict[str, Any], pictures: Sequence[str]) -> str:
    """The README of one study's results: its question, its figures and its pictures.

    Args:
        name: Key of `STUDIES`.
        content: Content of its file.
        pictures: Names of the pictures beside the file.

    Returns:
        Markdown text.
    """
    title, _, text = (STUDIES[name].__doc__ or "").partition("\n")
    prose = text.split("[--quick]")[-1].strip()
    page = {"text": "the report" if name in OF_REPORT else "the page", "file": page_of(name).name}
    return _template(FOLDER).render(content, title=title, prose=prose, pictures=pictures, page=page)


def pictures_of(folder: pathlib.Path) -> list[str]:
    """Names of the pictures in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".svg"))


def _template(path):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "pct": percent,
        "num": number,
        "spread": spread,
        "unlike_real": unlike_real,
        "average": average,
        "apart": apart,
        "named": study.named,
    }
    return environment.from_string(path.read_text())


def missing(results: Contents) -> dict[str, list[str]]:
    """Names of the rows that a study has yet to measure, by study."""
    options = study.Options()
    seeds = options.seeds()
    wanted = {
        "guidance": [f"w={w:g} seed={seed}" for w in guidance.WS for seed in seeds]
        + [f"{name} seed={len(seeds) + seed}" for name in ("of digit", "one w=1", "default") for seed in seeds],
        "configuration": [f"{name} w={w}" for name in configuration.SETTINGS for w in (3, 1)]
        + [f"start {start} seed={seed}" for start in configuration.STARTS for seed in seeds]
        + ["validation noise"],
        "steps": [
            f"{name} {count} seed={seed}"
            for count in steps.STEPS
            for seed in steps.seeds(count, options)
            for name in steps.SAMPLERS
        ],
        "schedules": [f"{name} {threshold}" for name in schedules.ARMS for threshold in schedules.THRESHOLDS]
        + [
            f"{name} none seed={seed}"
            for name, arm in schedules.ARMS.items()
            if arm in arms.AGAIN
            for seed in seeds[1:]
        ],
        "ablations": [f"{name} w={w}" for name in ablations.SETTINGS for w in (3, 1)]
        + [
            f"{name} w={w} seed={seed}"
            for name, (arm, _) in ablations.SETTINGS.items()
            if arm in arms.AGAIN
            for seed in seeds[1:]
            for w in (3, 1)
        ],
        "recognition": [f"{name} seed={seed}" for name in recognition.MODELS for seed in seeds],
    }
    return {name: [row for row in rows if row not in results[name]["rows"]] for name, rows in wanted.items()}


def machines(results: Contents) -> list[str]:
    """The machines that the figures come from, each once."""
    return sorted({row["machine"] for content in results.values() for row in content["rows"].values()})


def percent(value: float | None, digits: int = 1) -> str:
    """A share as text."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A number, rounded to significant digits."""
    return "–" if value is None else np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")


def spread(rows: Sequence[study.Figures], figure: str, *, share: bool = True) -> str:
    """Mean and standard deviation of a figure over the rows of several seeds; for a single row the figure alone."""
    mean, std = study.spread(list(rows), figure)
    if len(rows) == 1:
        return percent(mean) if share else number(mean)
    return f"{100 * mean:.1f} ± {100 * std:.1f} %" if share else f"{mean:.3g} ± {std:.2g}"


def average(rows: Sequence[study.Figures]) -> study.Figures:
    """One row with the means of the figures that are numbers; empty if there are no rows."""
    numbers = [name for name, value in rows[0].items() if isinstance(value, (int, float))] if rows else []
    return {name: study.spread(rows, name)[0] for name in numbers}


def apart(rows: Sequence[study.Figures], others: Sequence[study.Figures], figure: str) -> str:
    """Difference of the means of a share, in points, and whether it exceeds the larger standard deviation."""
    (one, std), (other, other_std) = study.spread(rows, figure), study.spread(others, figure)
    more = abs(one - other) > max(std, other_std)
    return f"{100 * (one - other):+.1f} points ({'more' if more else 'less'} than seeds differ)"


def unlike_real(row: study.Figures) -> str:
    """Whether the images are unlike real digits, as blobs are, judged by how many lie among real ones (precision)."""
    return "yes" if row["precision"] < 0.05 else "in part" if row["precision"] < 0.5 else "no"


def main() -> None:
    options = tyro.cli(study.Options, description=__doc__)
    results = read(options.results)
    write_text(PAGE, render(results))
    print(PAGE)
    for name in ALONE:
        write_text(page_of(name), render_alone(name, results[name]))
        print(page_of(name))
    for name, content in results.items():
        folder = options.results / name
        if content["rows"]:
            write_text(folder / "README.md", render_folder(name, content, pictures_of(folder)))
            print(folder / "README.md")


if __name__ == "__main__":
    run(main)
