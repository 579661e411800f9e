"""Colour MNIST: MNIST's digits in one colour on a ground of another, 32 x 32 x 3.

With ink a in 0 ... 255, two black pixels added on each side, digit colour d and ground colour g, in each channel

    x = (a d + (255 - a) g) / 255

Digits are light and grounds are dark, so that every digit can be read. In each channel, independently,

    d is uniform in 160 ... 255,    g is uniform in 0 ... 95

They come from a counter-based generator (Philox): image i's depend on (seed, split, i) alone.
"""

from typing import NamedTuple

import numpy as np

NUM_CLASSES = 10
SIDE = 32
MARGINS = ((0, 0), (2, 2), (2, 2), (0, 0))
SPLITS = ("train", "test")
DARKEST, LEVELS = {"digit": 160, "ground": 0}, 96
"""The least level of each colour's parts, and how many levels there are from it on."""
ATTRIBUTES = tuple(f"{what}_{part}" for what in DARKEST for part in ("red", "green", "blue"))
"""The parts of both colours: 0 is the darkest that each can be, 1 the lightest."""
ROWS = 5_000
INK = 4
"""Pixels from which a digit's colour is read: the thinnest digits have hardly more of pure ink."""


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
    # One row an image: a longer draw begins so
    u = np.random.Generator(np.random.Philox(key=key)).random((count, 2, 3))
    digit, ground = (np.floor(LEVELS * u[:, i]) + darkest for i, darkest in enumerate(DARKEST.values()))
    return digit.astype("uint8"), ground.astype("uint8")


def read_colours(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The colours of images: the median of the margin, and the mean of the pixels that are furthest from it.

    Args:
        images: uint8, or float in 0 ... 255, (N, 32, 32, 3).

    Returns:
        The digits' colours and the grounds', float32 (N, 3) each.
    """
    pixels = images.reshape(len(images), -1, 3).astype("float32")  # (N, 1024, 3)
    edge = np.pad(np.zeros((28, 28), bool), MARGINS[1:3], constant_values=True).reshape(-1)
    ground = np.median(pixels[:, edge], axis=1)
    distance = np.sum((pixels - ground[:, None]) ** 2, axis=-1)  # (N, 1024)
    furthest = np.argpartition(-distance, INK - 1, axis=1)[:, :INK, None]
    return np.take_along_axis(pixels, furthest, axis=1).mean(axis=1), ground


def attributes_of(digit_colour: np.ndarray, ground_colour: np.ndarray) -> dict[str, np.ndarray]:
    """The parts of both colours: 0 to 1 for colours that `draw_colours` draws.

    Args:
        digit_colour, ground_colour: Levels 0 ... 255, (N, 3).

    Returns:
        dict of `ATTRIBUTES` -> float (N,).
    """
    colours = zip((digit_colour, ground_colour), DARKEST.values())
    places = np.concatenate([(colour - np.float64(darkest)) / (LEVELS - 1) for colour, darkest in colours], axis=1)
    return dict(zip(ATTRIBUTES, places.T))
