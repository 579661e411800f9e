"""Colour MNIST: MNIST's digits in one colour on a ground of another, 32 x 32 x 3.

With ink a in 0 ... 255, two black pixels added on each side, digit colour d and ground colour g, in each channel

    x = (a d + (255 - a) g) / 255

A digit is lighter than its ground, by at least 64 levels in each channel, so that every digit can be read:

    g = u_1,    d = u_2,    u_1 in 0 ... 191,    u_2 in g + 64 ... 255

They come from a counter-based generator (Philox): image i's depend on (seed, split, i) alone.
"""

from typing import NamedTuple

import numpy as np

NUM_CLASSES = 10
SIDE = 32
MARGINS = ((0, 0), (2, 2), (2, 2), (0, 0))
NEAREST = 64
SPLITS = ("train", "test")
ATTRIBUTES = tuple(f"{what}_{part}" for what in ("digit", "ground") for part in ("red", "green", "blue"))
"""The parts of both colours, from 0 to 1."""
ROWS = 5_000


class Coloured(NamedTuple):
    """images uint8 (N, 32, 32, 3), and the two colours of each, uint8 (N, 3): red, green and blue."""

    images: np.ndarray
    digit_colour: np.ndarray
    ground_colour: np.ndarray


def colour(digits: np.ndarray, *, split: str = "train", seed: int = 0) -> Coloured:
    """Colour MNIST's digits.

    Args:
        digits: uint8 (N, 28, 28, 1), the first N of a split.
        split: "train" or "test", whose colours are independent.
        seed: 0 ... 2^64 - 1.

    Returns:
        `Coloured`.

    Example:
        >>> images, digit_colour, ground_colour = colour(keras_ddpm.data.load("mnist", "test").images, split="test")
    """
    inks, grounds = draw_colours(len(digits), split=split, seed=seed)
    images = np.empty((len(digits), SIDE, SIDE, 3), "uint8")
    for start in range(0, len(digits), ROWS):
        rows = slice(start, start + ROWS)
        ink = np.pad(digits[rows].astype("uint16"), MARGINS)  # (B, 32, 32, 1)
        d, g = (colours[rows, None, None].astype("uint16") for colours in (inks, grounds))  # (B, 1, 1, 3)
        images[rows] = (ink * d + (255 - ink) * g + 127) // 255  # at most 65,152: it fits
    return Coloured(images, inks, grounds)


def draw_colours(count: int, *, split: str = "train", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The colours of the first images of a split.

    Args:
        count: How many images.
        split, seed: See `colour`.

    Returns:
        The digits' colours and the grounds', uint8 (count, 3) each.
    """
    key = np.array([seed, SPLITS.index(split)], "uint64")
    u = np.random.Generator(np.random.Philox(key=key)).random(
        (count, 2, 3)
    )  # one row an image: a longer draw begins so
    ground = np.floor((256 - NEAREST) * u[:, 0])
    digit = ground + NEAREST + np.floor((256 - NEAREST - ground) * u[:, 1])
    return digit.astype("uint8"), ground.astype("uint8")
