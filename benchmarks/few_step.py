"""Figures of few-step models in one call and in several, beside real images, without a look at test images.

    python -m benchmarks.few_step --runs runs/mnist_fast/consistency runs/mnist_fast --steps 1 2 4
    python -m benchmarks.few_step --steps 1 --temperatures 1 1.1 1.2 --classifier judges/tuner

The labels, and the images to compare with, are the training split's last 5,000, which training holds out. Ink is the
mean pixel, 0 for black and 100 % for white: strokes that grow bolder or thinner show in it first.
"""

import dataclasses
import itertools
import pathlib

import numpy as np
import tyro

from benchmarks import machine
from benchmarks.quality import FIGURES, cells, figures
from keras_ddpm import data, presets
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize


@dataclasses.dataclass(frozen=True)
class Arguments:
    runs: tuple[str, ...] = ("mnist_fast",)
    """Presets, or folders of runs."""
    steps: tuple[int, ...] = (1, 2, 4)
    """Numbers of calls; 0 for a preset's own sampler and steps."""
    temperatures: tuple[float, ...] = ()
    """Standard deviations of x_T. Default: a preset's own."""
    sampler: str | None = None
    """For all steps but 0. Default: a preset's own."""
    unguided: bool = False
    """Whether to leave guidance out."""
    n: int = 1_000
    """Images of each row, at most the held-out ones."""
    seed: int = 1_000_000
    """Seed of the first image."""
    dataset: str = "mnist"
    classifier: pathlib.Path = SHIPPED
    """Folder of a judge. Use another than the shipped one to choose settings."""
    grids: pathlib.Path | None = None
    """Folder for a picture of each row: 20 images of each digit."""


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    classifier, training = memoize(load_classifier(arguments.classifier)), data.load(arguments.dataset, "train")
    rest, held = training.hold_out(5_000)
    reference = held.first(arguments.n)
    print(f"{machine.describe()}; n = {arguments.n}")
    print("| model | calls | right digit | worst digit | " + " | ".join(FIGURES) + " | ink |\n" + "|---" * 10 + "|")
    report("real training images", "", *rest.first(arguments.n)[:2], reference=reference, classifier=classifier)
    temperatures = arguments.temperatures or (None,)
    for run, steps, temperature in itertools.product(arguments.runs, arguments.steps, temperatures):
        given = {"steps": steps, "sampler": arguments.sampler} if steps else {}
        given |= {"guidance": "none"} if arguments.unguided else {}
        generator = presets.load_preset(run, **given, temperature=temperature)
        name = run if temperature is None else f"{run}, temperature {temperature:g}"
        images = draw(generator, reference.labels, run, arguments.seed)
        report(name, steps or generator.steps, images, reference.labels, reference=reference, classifier=classifier)
        if arguments.grids:
            file = f"{pathlib.Path(run).name}_{generator.steps}_{generator.temperature:g}.png"
            page(generator, run, arguments.grids / file)


def draw(generator, labels, run, seed):
    """uint8 images of these labels, with the preset's own w."""
    w = w_of_class(presets.read_config(run)[0].sampling.w, 10)[labels]
    return generator.images(labels, w, seed + np.arange(len(labels)))


def report(name, calls, images, labels, *, reference, classifier):
    """Print one line of the table."""
    values = figures(images, labels, reference=reference[:2], classifier=classifier)
    print("| " + " | ".join([name, str(calls), *cells(values), f"{images.mean() / 255:.1%}"]) + " |", flush=True)


def page(generator, run, path):
    """A grid of 20 images of each digit."""
    from keras_ddpm.data import pictures

    labels = np.repeat(np.arange(10, dtype="int32"), 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.write_png(path, pictures.grid(draw(generator, labels, run, 0), columns=20))


if __name__ == "__main__":
    main()
