"""Attributes: is what is asked for what is drawn, does the digit stay right, and what is lost?

python -m studies.attributes [--quick]

The model is the shipped preset, or another run of configs/mnist_attributes.py. Each row asks for the digit alone, for
one attribute beside it, or for all of them: those of real test images of the same digits, so that what is asked varies
as much as they do. Asked and drawn values are compared digit by digit, in the ranges of `keras_ddpm.data.attributes`.
The rows of levels ask for one value after the other, from the lowest to the highest.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import attributes, pictures
from keras_ddpm.generator import Generator
from studies import study

N = 2000
LEVELS = 9
ALONE = "digit alone"


@dataclasses.dataclass(frozen=True)
class Options(study.Options):
    preset: str = "mnist_attributes"
    """The model: name of a shipped preset with attributes, or a run's folder."""


def run(options: study.Options) -> None:
    names = measured(options)
    judge = study.Judge(options, options.count(N))
    own = options.sampling().w
    generator = presets.load_preset(options.preset, steps=5 if options.quick else None)  # None: the preset's own
    results = study.Results("attributes", options, n=judge.n, steps=generator.steps, **options.model())
    results.row("real", judge.real)
    theirs = attributes.measure(judge.test[0][: judge.n], names)
    asks = {ALONE: [], **{name: [name] for name in names}, "all": names}
    for seed in options.seeds():
        for ask, given in asks.items():
            asked = {name: theirs[name] for name in given}
            row = results.row(f"{ask} w={own:g} seed={seed}", measure, judge, generator, names, asked, own, seed)
            print(in_words(row), flush=True)
    for name in names:
        row = results.row(f"{name} levels", levels, judge, generator, name, own)
        axes = {"x_label": f"{name} that is asked for", "y_label": "drawn, or share", "y_scale": "linear"}
        curves = {"drawn": row["drawn"], "asked": row["asked"], "right digit": row["accuracy"]}
        pictures.plot_curves(results.picture(f"{name}_levels"), row["asked"], curves, **axes)
        pictures.write_png(results.picture(name), page(generator, name, own))


def measured(options: study.Options) -> list[str]:
    """The attributes of the preset that can be measured on what it draws.

    Raises:
        ValueError: if it has none.
    """
    known = presets.read_config(options.preset)[0].data.attributes
    names = [name for name in known if name in attributes.MEASURES]
    if not names:
        raise ValueError(
            "`preset` must be a run with attributes, such as one of configs/mnist_attributes.py. "
            f"Received: {options.preset!r}, whose attributes are {list(known)}"
        )
    return names


def measure(
    judge: study.Judge,
    generator: Generator,
    names: Sequence[str],
    asked: dict[str, np.ndarray],
    w: float,
    seed: int,
) -> study.Figures:
    """The judge's figures of images with attributes (n,); what was drawn beside what was asked, and how it varies."""
    images, seconds = study.draw(generator, judge.labels, w, seed=seed * judge.n, **asked)
    drawn = attributes.measure(images, names)
    found = {name: {"spread_of_digit": of_digits(np.std, judge.labels, drawn[name])} for name in names}
    for name, values in asked.items():
        found[name] |= agreement(values, drawn[name], judge.labels)
    return {**judge.figures(images), "attributes": found, "seconds": seconds}


def agreement(asked: np.ndarray, drawn: np.ndarray, labels: np.ndarray) -> study.Figures:
    """Correlation and mean absolute difference of asked and drawn values (n,), for each digit and as the digits' mean.

    A digit whose values are all alike has no correlation (NaN), and does not count in the mean.
    """
    correlation = of_digits(_correlation, labels, asked, drawn)
    error = of_digits(lambda a, b: np.mean(np.abs(a - b)), labels, asked, drawn)
    known = [r for r in correlation if np.isfinite(r)]
    means = {"correlation": np.mean(known) if known else np.nan, "error": np.nanmean(error)}
    return {**means, "correlation_of_digit": correlation, "error_of_digit": error}


def of_digits(function, labels: np.ndarray, *values: np.ndarray) -> list[float]:
    """A function of the values (n,) of each digit; NaN for a digit that is not there."""
    rows = [labels == digit for digit in range(10)]
    return [float(function(*(value[row] for value in values))) if row.any() else float("nan") for row in rows]


def levels(judge: study.Judge, generator: Generator, name: str, w: float) -> study.Figures:
    """Of each asked value from low to high the mean of what is drawn, and the share of right digits."""
    asked, drawn, accuracy = even(name), [], []
    count = max(10, judge.n // LEVELS)
    labels = np.arange(count) % 10
    for value in asked:
        images, _ = study.draw(generator, labels, w, **{name: np.full(count, value)})
        drawn.append(np.mean(attributes.measure(images, [name])[name]))
        accuracy.append(np.mean(judge.classifier(images)[0].argmax(axis=1) == labels))
    return {"asked": asked, "drawn": drawn, "accuracy": accuracy}


def page(generator: Generator, name: str, w: float) -> np.ndarray:
    """A picture: a row a digit, from the lowest value of an attribute to the highest, with one seed."""
    digits, values = np.repeat(np.arange(10), LEVELS), np.tile(even(name), 10)
    images = generator.images(digits, w, digits, **{name: values})
    return pictures.grid(images, columns=LEVELS, scale=2)


def even(name: str) -> np.ndarray:
    """Values from the lowest to the highest that can be asked for."""
    condition = attributes.MEASURES[name].condition
    return np.linspace(condition.low, condition.high, LEVELS)


def names(rows: dict[str, study.Figures]) -> list[str]:
    """The attributes that a study's rows are of; empty if there are none."""
    return next((list(row["attributes"]) for row in rows.values() if "attributes" in row), [])


def correlations(rows: dict[str, study.Figures], ask: str, w: float, name: str) -> list[float]:
    """Correlation of asked and drawn values of an attribute, for each seed that is measured and has one.

    Args:
        rows: Those of the study's file.
        ask: What was asked for: the attribute alone, or "all".
        w: Strength of the guidance.
        name: Of the attribute.
    """
    found = [row["attributes"][name]["correlation"] for row in study.named(rows, f"{ask} w={w:g} seed=")]
    return [r for r in found if r is not None]


def in_words(row: study.Figures) -> str:
    """The figures that a row is for."""
    pairs = [(name, found["correlation"]) for name, found in row["attributes"].items() if "correlation" in found]
    told = [f"{name} r = {r:.2f}" for name, r in pairs if r is not None]
    return ", ".join([f"right digit {row['accuracy']:.1%}", f"recall {row['recall']:.1%}", *told])


def _correlation(a, b):
    return np.corrcoef(a, b)[0, 1] if len(a) > 1 and np.std(a) > 0 and np.std(b) > 0 else np.nan


if __name__ == "__main__":
    study.main(run, __doc__, Options)
