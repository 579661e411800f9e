"""Colours: are those drawn that were asked for, does the digit stay right, and what is lost?

    python -m keras_ddpm judge --dataset colour_mnist
    python -m benchmarks.colours

Each row asks for the digits, and what it says of the colours, of the first n test images. The last two columns are how
far the colours are from those asked for: the mean over red, green and blue, in levels of 0 to 255. Colours are read off
the images, and the row of real images shows the error of that.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tyro

from benchmarks import machine
from benchmarks.quality import FIGURES, cells, figures
from keras_ddpm import data, presets
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.cli.run import run
from keras_ddpm.data import colour_mnist
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize

ASKED = {
    "digit alone": (),
    "digit's colour": colour_mnist.ATTRIBUTES[:3],
    "ground's colour": colour_mnist.ATTRIBUTES[3:],
    "both colours": colour_mnist.ATTRIBUTES,
}

LEAST = 10
"""Images of a row: neighbours of each are looked for."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    preset: str = "colour_mnist"
    classifier: pathlib.Path = pathlib.Path("judges/colour_mnist")
    """Folder of the judge."""
    n: int = 2_000
    """Images of each row."""
    seed: int = 0
    """Seed of the first image."""


def off(colours: np.ndarray, wanted: np.ndarray) -> str:
    """Mean absolute difference of levels."""
    return f"{np.mean(np.abs(colours - wanted.astype('float32'))):.1f}"


def rows(arguments: Arguments) -> Iterator[str]:
    """The table, line by line.

    Raises:
        ValueError: if there are fewer test images than two times `n`, or the preset knows no colours.
    """
    config, n = presets.read_config(arguments.preset)[0], arguments.n
    known = config.data.attributes
    if not set(colour_mnist.ATTRIBUTES) <= set(known):
        raise ValueError(f"`preset` must have the attributes of colour_mnist. Received: {arguments.preset!r}, {known}")
    test = data.load("colour_mnist", "test", attributes=colour_mnist.ATTRIBUTES)
    if not LEAST <= n <= len(test.images) // 2:
        raise ValueError(f"`n` must be in {LEAST}..{len(test.images) // 2}, half of the test images. Received: {n}")
    judge, draw = load_classifier(arguments.classifier), presets.load_preset(arguments.preset).images
    digits = test.labels["label"]
    reference = test.images[-n:], digits[-n:]  # others than those whose colours are asked for
    given = {"reference": reference, "classifier": memoize(judge), "kind": judge.kind}
    wanted = colour_mnist.draw_colours(n, split="test")
    w = w_of_class(config.sampling.w, judge.kind.num_classes)
    yield f"{machine.describe()}; preset {arguments.preset}, n = {n}, judge {judge.notes['arch']}"
    yield "| asked for | right digit | worst digit | " + " | ".join(FIGURES) + " | digit off by | ground off by |"
    yield "|---" * (len(FIGURES) + 5) + "|"
    drawn = {"real test images": test.images[:n]}
    for name, attributes in ASKED.items():
        asked = {attribute: test.labels[attribute][:n] for attribute in attributes}
        drawn[name] = draw(digits[:n], w[digits[:n]], arguments.seed + np.arange(n), **asked)
    for name, images in drawn.items():
        looked_for = ASKED.get(name, colour_mnist.ATTRIBUTES)
        far = [off(*pair) for pair in zip(colour_mnist.read_colours(images), wanted)]
        far = [cell if attribute in looked_for else "" for cell, attribute in zip(far, ("digit_red", "ground_red"))]
        yield "| " + " | ".join([name, *cells(figures(images, digits[:n], **given)), *far]) + " |"


def main() -> None:
    for line in rows(tyro.cli(Arguments, description=__doc__)):
        print(line, flush=True)


if __name__ == "__main__":
    run(main)
