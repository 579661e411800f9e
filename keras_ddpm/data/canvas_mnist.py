"""Canvas MNIST: one of MNIST's digits somewhere on a black canvas of 64 x 64 x 1, at some size.

Image i is resized from 28 x 28 to s x s pixels and put at (top, left), all uniform:

    s in 20 ... 56,    top, left in 0 ... 64 - s

They come from a counter-based generator (Philox): image i's depend on (seed, split, i) alone. Resizing is linear,
R x R^T, where each row of R weighs what a pixel covers by a triangle as wide as the larger of the two pixels.
"""

import functools
from typing import NamedTuple

import numpy as np

NUM_CLASSES = 10
SIDE, DIGIT = 64, 28
SMALLEST, LARGEST = 20, 56
SPLITS = ("train", "test")


class Places(NamedTuple):
    """Side of each digit's square in pixels, and where its upper left corner is, int (N,) each."""

    side: np.ndarray
    top: np.ndarray
    left: np.ndarray


def place(digits: np.ndarray, *, split: str = "train", seed: int = 0) -> np.ndarray:
    """Put MNIST's digits on canvases.

    Args:
        digits: uint8 (N, 28, 28, 1), the first N of a split.
        split: "train" or "test", whose places are independent.
        seed: 0 ... 2^64 - 1.

    Returns:
        uint8 (N, 64, 64, 1).

    Example:
        >>> images = place(keras_ddpm.data.load("mnist", "test").images, split="test")
    """
    side, top, left = draw_places(len(digits), split=split, seed=seed)
    canvases = np.zeros((len(digits), SIDE, SIDE, 1), "uint8")
    for s in np.unique(side):
        rows = np.flatnonzero(side == s)
        R = resizing(int(s))  # (s, 28)
        resized = np.round(R @ digits[rows, :, :, 0].astype("float64") @ R.T).astype("uint8")  # (B, s, s)
        for row, digit in zip(rows, resized):
            canvases[row, top[row] : top[row] + s, left[row] : left[row] + s, 0] = digit
    return canvases


def draw_places(count: int, *, split: str = "train", seed: int = 0) -> Places:
    """Sizes and places of the first digits of a split.

    Args:
        count: How many.
        split, seed: See `place`.
    """
    key = np.array([seed, SPLITS.index(split)], "uint64")
    u = np.random.Generator(np.random.Philox(key=key)).random((count, 3))  # a row an image: a longer draw begins so
    side = SMALLEST + np.floor((LARGEST - SMALLEST + 1) * u[:, 0]).astype("int64")
    top, left = (np.floor((SIDE - side + 1) * column).astype("int64") for column in (u[:, 1], u[:, 2]))
    return Places(side, top, left)


@functools.cache
def resizing(side: int) -> np.ndarray:
    """R, float64 (side, 28), whose rows add up to 1."""
    ratio = DIGIT / side
    centre = (np.arange(side)[:, None] + 0.5) * ratio - 0.5
    R = np.maximum(0.0, 1.0 - np.abs(np.arange(DIGIT) - centre) / max(1.0, ratio))
    return R / R.sum(axis=1, keepdims=True)
