"""Quality of a preset under several sampling settings: how a default is chosen.

    python -m benchmarks.quality --n 2000 --settings ddpm:100:1 ddpm:20:1 ddim:20:2:0.2:5

A setting is sampler:steps:w, or sampler:steps:w:low:high to guide at noise levels from low to high only. Generated
images are compared with images that training held out of its split, never with test images: those are for reports
(`keras_ddpm.evaluate`). Choose with one classifier (`--classifier judges/tuner`), and report with
the shipped one, which took no part in the choice.
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Mapping

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import data, presets
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.cli.run import run
from keras_ddpm.config import DataConfig
from keras_ddpm.evaluation.arrays import DIGITS, Kind
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.metrics.accuracy import accuracy
from keras_ddpm.evaluation.metrics.frechet import distances
from keras_ddpm.evaluation.metrics.manifold import manifold

FIGURES = ("frechet_distance", "precision", "recall", "density", "coverage")
HELD_OUT = DataConfig().validation_images

Images = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Arguments:
    settings: tuple[str, ...] = ("ddpm:100:1",)
    """Each sampler:steps:w or sampler:steps:w:low:high. "default" is the preset's own."""
    n: int = 2_000
    """Images of each setting, the same number of each digit, and as many real ones."""
    preset: str = "mnist"
    dataset: str = "mnist"
    classifier: pathlib.Path = SHIPPED
    """Folder of the judge."""
    seed: int = 0
    """Seed of the first image."""


def real_images(training: data.Dataset, n: int) -> tuple[Images, Images]:
    """n images to compare with, which training held out, and n others of the training split, each with their labels.

    Args:
        training: The training split.
        n: Number of images, at most `HELD_OUT`.

    Raises:
        ValueError: if there are fewer images.
    """
    rest, held_out = training.hold_out(HELD_OUT)
    most = min(len(held_out.images), len(rest.images))
    if not 1 <= n <= most:
        raise ValueError(f"`n` must be in 1..{most}, the number of held-out images. Received: {n}")
    random = np.random.default_rng(0)
    rows = [random.permutation(len(part.images))[:n] for part in (held_out, rest)]
    reference, others = ((part.images[r], part.labels[r]) for part, r in zip((held_out, rest), rows))
    return reference, others


def parse_setting(setting: str) -> dict:
    """The fields of `SamplingConfig` in a setting; none in "default".

    Raises:
        ValueError: if it is no setting.
    """
    if setting == "default":
        return {}
    try:
        sampler, steps, w, *interval = setting.split(":")
        if len(interval) not in (0, 2):
            raise ValueError("an interval has two ends")
        low, high = map(float, interval or (0, math.inf))
        return {"sampler": sampler, "steps": int(steps), "w": float(w), "guidance_interval": (low, high)}
    except ValueError as error:
        raise ValueError(
            f"`settings` must be sampler:steps:w, sampler:steps:w:low:high or default. Received: {setting!r}"
        ) from error


def figures(
    images: np.ndarray, labels: np.ndarray, *, reference: Images, classifier, kind: Kind = DIGITS
) -> dict[str, float]:
    """Accuracy, overall and of the worst class, and the figures of the table, by name."""
    given = {"classifier": classifier, "kind": kind}
    values = dict(accuracy(images, labels, **given))
    values |= dict(distances(images, labels, reference=reference, **given))
    values |= dict(manifold(images, labels, reference=reference, **given))
    worst = min(np.unique(labels).tolist(), key=lambda label: values[f"accuracy/{label}"])
    return values | {"worst": values[f"accuracy/{worst}"], "worst_digit": worst}


def cells(values: Mapping[str, float]) -> list[str]:
    """What `figures` returns, as the cells of a row."""
    digits = [f"{values['accuracy']:.2%}", f"{values['worst']:.1%} ({values['worst_digit']})"]
    return [*digits, *(f"{values[figure]:.3f}" for figure in FIGURES)]


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    config, n = presets.read_config(arguments.preset)[0], arguments.n
    sampling = {s: dataclasses.replace(config.sampling, **parse_setting(s)) for s in arguments.settings}
    reference, others = real_images(data.load(arguments.dataset, "train"), n)
    judge = load_classifier(arguments.classifier)
    print(f"{machine.describe()}; preset {arguments.preset}, n = {n}, judge {judge.notes['arch']}")
    print("| setting | right digit | worst digit | " + " | ".join(FIGURES) + " | images/s |" + "\n" + "|---" * 9 + "|")
    given = {"reference": reference, "classifier": memoize(judge), "kind": judge.kind}
    print(f"| other training images | {' | '.join(cells(figures(*others, **given)))} | |", flush=True)
    labels = np.arange(n, dtype="int32") % judge.kind.num_classes
    for setting, values in sampling.items():
        generator = presets.load_preset(arguments.preset, **vars(values))
        start = time.perf_counter()
        sampled = generator.sample(
            labels, w_of_class(values.w, judge.kind.num_classes)[labels], arguments.seed + np.arange(n)
        )["image"]
        rate = n / (time.perf_counter() - start)
        judged = cells(figures(data.to_uint8(sampled), labels, **given))
        print(f"| {setting} | {' | '.join(judged)} | {rate:.1f} |", flush=True)


if __name__ == "__main__":
    run(main)
