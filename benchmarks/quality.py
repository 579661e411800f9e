"""Quality of a preset under several sampling settings: how the shipped default was chosen, and how it is judged.

    python -m benchmarks.quality --n 2000 --settings ddpm:100:1 ddpm:20:1 ddim:20:2:0.2:5

A setting is sampler:steps:w, or sampler:steps:w:low:high to guide at noise levels from low to high only. Choose with
one classifier (`--classifier tuner.weights.h5 --arch wide5x5`), judge with another (the shipped one).
"""

import dataclasses
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import data, presets
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.memoize import memoize
from keras_ddpm.evaluation.metrics.accuracy import accuracy
from keras_ddpm.evaluation.metrics.frechet import distances
from keras_ddpm.evaluation.metrics.manifold import manifold
from keras_ddpm.guidance import ALWAYS
from keras_ddpm.sampling_request import w_of_class

FIGURES = ("frechet_distance", "precision", "recall", "density", "coverage")


@dataclasses.dataclass(frozen=True)
class Arguments:
    settings: tuple[str, ...] = ("ddpm:100:1",)
    """Each sampler:steps:w or sampler:steps:w:low:high. "default" is the preset's own."""
    n: int = 2_000
    """Images of each setting, the same number of each digit."""
    preset: str = "mnist"
    dataset: str = "mnist"
    classifier: pathlib.Path = SHIPPED
    arch: str = "conv3x3"
    seed: int = 0
    """Seed of the first image."""


def generator(preset, setting):
    """The generator of one setting, and its w."""
    own = presets.read_config(preset)[0].sampling
    if setting == "default":
        return presets.load_preset(preset), own.w
    sampler, steps, w, *interval = setting.split(":")
    sampling = dataclasses.replace(
        own, sampler=sampler, steps=int(steps), w=float(w), guidance_interval=tuple(map(float, interval)) or ALWAYS
    )
    return presets.load_preset(preset, **vars(sampling)), sampling.w


def row(images, labels, *, reference, classifier):
    """One line of the table: accuracy, that of the worst digit, and the distances to real images."""
    values = dict(accuracy(images, labels, classifier=classifier))
    values |= dict(distances(images, labels, reference=reference, classifier=classifier))
    values |= dict(manifold(images, labels, reference=reference, classifier=classifier))
    digits = [values[f"accuracy/{d}"] for d in range(10)]
    cells = [f"{values['accuracy']:.2%}", f"{min(digits):.1%} ({int(np.argmin(digits))})"]
    return " | ".join([*cells, *(f"{values[name]:.3f}" for name in FIGURES)])


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    classifier, n = memoize(load_classifier(arguments.classifier, arch=arguments.arch)), arguments.n
    random = np.random.default_rng(0)
    rows = {s: random.permutation(m)[:n] for s, m in (("test", 10_000), ("train", 60_000))}
    real = {s: tuple(a[rows[s]] for a in data.load(arguments.dataset, s)[:2]) for s in rows}
    print(f"{machine.describe()}; preset {arguments.preset}, n = {n}, judge {arguments.arch}")
    print("| setting | right digit | worst digit | " + " | ".join(FIGURES) + " | images/s |" + "\n" + "|---" * 9 + "|")
    print(
        f"| real training images | {row(*real['train'], reference=real['test'], classifier=classifier)} | |", flush=True
    )
    labels = np.arange(n, dtype="int32") % 10
    for setting in arguments.settings:
        model, w = generator(arguments.preset, setting)
        start = time.perf_counter()
        sampled = model.sample(labels, w_of_class(w, 10)[labels], arguments.seed + np.arange(n))["image"]
        rate = n / (time.perf_counter() - start)
        judged = row(data.to_uint8(sampled), labels, reference=real["test"], classifier=classifier)
        print(f"| {setting} | {judged} | {rate:.1f} |", flush=True)


if __name__ == "__main__":
    main()
