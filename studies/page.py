"""docs/report.md, made from the results: what was measured is read from the files. The prose around it is written.

python -m studies.page
"""

import json
import pathlib

import jinja2
import numpy as np
import tyro

from keras_ddpm.files import write_text
from studies import ablations, arms, claims, configuration, guidance, recognition, schedules, steps, study

TEMPLATE = pathlib.Path(__file__).with_name("report.md.j2")
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "report.md"
STUDIES = ("configuration", "recognition", "guidance", "steps", "schedules", "ablations")


def read(folder=study.RESULTS):
    """The results of all studies: dict from a study's name to its file's content, without rows if there is no file."""
    return {name: _content(folder / f"{name}.json") for name in STUDIES}


def _content(file):
    if not file.is_file():
        return {"command": f"python -m studies.{file.stem}", "settings": {}, "rows": {}}
    return json.loads(file.read_text())


def render(results):
    """The page.

    Args:
        results: What `read` returns.

    Returns:
        Markdown text.

    Raises:
        jinja2.UndefinedError: if the text speaks of a figure that is not there.
    """
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
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
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
        pictures={path.name for path in study.RESULTS.iterdir()},
    )


def missing(results):
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
        "ablations": [f"{name} w={w}" for name in ablations.SETTINGS for w in (3, 1)],
        "recognition": [f"{name} seed={seed}" for name in recognition.MODELS for seed in seeds],
    }
    return {name: [row for row in rows if row not in results[name]["rows"]] for name, rows in wanted.items()}


def machines(results):
    """The machines that the figures come from, each once."""
    return sorted({row["machine"] for content in results.values() for row in content["rows"].values()})


def percent(value, digits=1):
    """A share as text."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value, digits=3):
    """A number to so many significant digits."""
    return "–" if value is None else np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")


def spread(rows, figure, *, share=True):
    """Mean and standard deviation of a figure over rows of several seeds; of a single row the figure."""
    mean, std = study.spread(list(rows), figure)
    if len(rows) == 1:
        return percent(mean) if share else number(mean)
    return f"{100 * mean:.1f} ± {100 * std:.1f} %" if share else f"{mean:.3g} ± {std:.2g}"


def average(rows):
    """One row of the means over rows, for the figures that are numbers; empty if there are no rows."""
    numbers = [name for name, value in rows[0].items() if isinstance(value, (int, float))] if rows else []
    return {name: study.spread(rows, name)[0] for name in numbers}


def apart(rows, others, figure):
    """Difference of the means of a share, in points, and whether it is more than the larger standard deviation."""
    (one, std), (other, other_std) = study.spread(rows, figure), study.spread(others, figure)
    more = abs(one - other) > max(std, other_std)
    return f"{100 * (one - other):+.1f} points ({'more' if more else 'less'} than seeds differ)"


def unlike_real(row):
    """Whether the images are unlike real digits, as blobs are, by how many of them lie among real ones (precision)."""
    return "yes" if row["precision"] < 0.05 else "in part" if row["precision"] < 0.5 else "no"


def main():
    options = tyro.cli(study.Options, description=__doc__)
    write_text(PAGE, render(read(options.results)))
    print(PAGE)


if __name__ == "__main__":
    main()
