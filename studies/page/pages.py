"""Pages of docs/ and the README of each study's results: the figures come from the files, the prose from templates.

docs/report.md is made of the six studies of the report's claims, docs/future_work.md of these and of those of what the
report left as future work. Two studies have a page of their own.

python -m studies.page
"""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jinja2
import tyro

from keras_ddpm.saving.files import write_text
from studies import (
    ablations,
    architecture,
    arms,
    attributes,
    augmentation,
    autoguidance,
    clip_guides,
    comparison,
    configuration,
    formats,
    guidance,
    latent,
    privacy,
    recognition,
    schedules,
    short_trainings,
    steps,
    study,
    training_ideas,
)
from studies.page import claims, future_work
from studies.page.answers import Contents
from studies.page.proposals import PROPOSALS

TEMPLATE = pathlib.Path(__file__).with_name("report.md.j2")
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "report.md"
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
OF_FUTURE = {
    "architecture": architecture,
    "training_ideas": training_ideas,
    "latent": latent,
    "autoguidance": autoguidance,
    "clip_guides": clip_guides,
    "attributes": attributes,
}
FUTURE = PAGE.with_name("future_work.md")
STUDIES = OF_REPORT | ALONE | OF_FUTURE


def read(folder: pathlib.Path = study.RESULTS) -> Contents:
    """The results of all studies: dict from a study's name to its file's content, without rows if there is no file."""
    return {name: _content(folder / name / study.ROWS) for name in STUDIES}


def _content(file):
    if not file.is_file():
        return {"command": command(file.parent.name), "settings": {}, "rows": {}}
    return json.loads(file.read_text())


def command(name: str) -> str:
    """The command of a study, as its docstring has it."""
    found = re.search(rf"^python -m studies\.{name}.*$", STUDIES[name].__doc__ or "", re.MULTILINE)
    assert found is not None
    return re.sub(r" \[.*", "", found[0])


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
        epochs_shown=configuration.SHOWN,
        missing=missing(results),
        machines=machines(results),
        pictures=pictures(),
    )
    return text.replace("<!-- contents -->", contents(text))


def pictures() -> set[str]:
    """The pictures of all studies: folder/name.ending."""
    return {path.relative_to(study.RESULTS).as_posix() for path in study.RESULTS.glob("*/*.*")}


def render_future(results: Contents) -> str:
    """The page of what the report left as future work.

    Args:
        results: What `read` returns.

    Returns:
        Markdown text.
    """
    text = _template(TEMPLATE.with_name("future_work.md.j2")).render(
        results=results,
        proposals=PROPOSALS,
        work=future_work,
        latent=latent,
        ideas=training_ideas,
        short=short_trainings,
        clip=clip_guides,
        margin=comparison.MARGIN,
        relative=comparison.RELATIVE,
        anchor=anchor,
        machines=machines(results),
        pictures=pictures(),
    )
    return text.replace("<!-- contents -->", contents(text))


def page_of(name: str) -> pathlib.Path:
    """The page that says what a study's figures mean."""
    return PAGE if name in OF_REPORT else FUTURE if name in OF_FUTURE else PAGE.with_name(f"{name}.md")


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
        lines.append(f"{'  ' * (len(marks) - 2)}- [{title}](#{anchor(title)})")
    return "\n".join(lines)


def anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


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
        "pct": formats.percent,
        "num": formats.number,
        "spread": formats.spread,
        "unlike_real": formats.unlike_real,
        "average": formats.average,
        "apart": formats.apart,
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
            for seed in seeds
            for name in steps.samplers_of(count)
        ],
        "schedules": [f"{name} {threshold}" for name in schedules.ARMS for threshold in schedules.THRESHOLDS]
        + [f"{name} none seed={seed}" for name, arm in schedules.ARMS.items() for seed in arms.AGAIN.get(arm, ())],
        "ablations": [f"{name} w={w}" for name in ablations.SETTINGS for w in (3, 1)],
        "recognition": [f"{name} seed={seed}" for name in recognition.MODELS for seed in seeds],
    }
    return {name: [row for row in rows if row not in results[name]["rows"]] for name, rows in wanted.items()}


def machines(results: Contents) -> list[str]:
    """The machines that the figures come from, each once."""
    return sorted({row["machine"] for content in results.values() for row in content["rows"].values()})


def main() -> None:
    options = tyro.cli(study.Options, description=__doc__)
    results = read(options.results)
    write_text(PAGE, render(results))
    print(PAGE)
    write_text(FUTURE, render_future(results))
    print(FUTURE)
    for name in ALONE:
        write_text(page_of(name), render_alone(name, results[name]))
        print(page_of(name))
    for name in STUDIES:
        folder = options.results / name
        if results[name]["rows"]:
            write_text(folder / "README.md", render_folder(name, results[name], pictures_of(folder)))
            print(folder / "README.md")
