"""Attributes: what is measured on the image of a digit, and can be asked for beside the digit.

The ink of a pixel, 0 ... 1, is a density over rows r (downwards) and columns c; M are its second central moments.

    slant       -M_rc / M_rr                       tangent of the angle from upright, positive as in /
    width       sqrt(12 (M_cc - M_rc^2 / M_rr))    pixels: the bar that spreads as far, with the slant taken out
    thickness   4 E[distance to the paper]         pixels: across a stroke it is even in 0 ... thickness / 2

Each is scaled from a range in its unit, in which nearly all of MNIST lies, to that of a condition, and clipped there:

    thickness   1 ... 5 pixels     0 ... 1
    slant       -1 ... 1           -1 ... 1
    width       2 ... 22 pixels    0 ... 1

Images are light ink on dark paper, as MNIST's are; what lies outside of an image is paper.

Reference: Castro et al. (Morpho-MNIST), arXiv 1809.10780, section 2.1. Deviation: the thickness is a mean over all ink,
not over a skeleton, and the width is a moment, not an extent; neither jumps with a pixel.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from keras_ddpm.conditions import Condition, Label, Scalar

ROWS = 2_000
"""Images that are measured at a time."""


def slant(images: np.ndarray) -> np.ndarray:
    """Tangent of the angle between a digit and the upright, positive where it leans to the right.

    Args:
        images: uint8, or float in 0 ... 255, (N, H, W, C).

    Returns:
        float32 (N,); 0 without ink, or with ink in one row only.
    """
    M_rr, M_rc, _ = _moments(images)
    return _divide(-M_rc, M_rr).astype("float32")


def width(images: np.ndarray) -> np.ndarray:
    """Width of a digit in pixels, whatever its slant: that of an even bar with as much spread within a row.

    Args:
        images: uint8, or float in 0 ... 255, (N, H, W, C).

    Returns:
        float32 (N,), at least 0.
    """
    M_rr, M_rc, M_cc = _moments(images)
    return np.sqrt(12.0 * np.maximum(M_cc - _divide(M_rc**2, M_rr), 0.0)).astype("float32")


def thickness(images: np.ndarray) -> np.ndarray:
    """Thickness of a digit's strokes in pixels: four times the mean distance from ink to paper.

    Args:
        images: uint8, or float in 0 ... 255, (N, H, W, C). Ink is what is lighter than half, at twice the resolution.

    Returns:
        float32 (N,); 0 without ink.
    """
    from scipy.ndimage import distance_transform_edt

    ink = _doubled(np.pad(_ink(images), ((0, 0), (1, 1), (1, 1)))) >= 0.5  # (N, 2 H + 4, 2 W + 4)
    N, rows, columns = ink.shape
    # One below the other: the paper around each keeps it from the next
    distance = distance_transform_edt(ink.reshape(N * rows, columns)).reshape(ink.shape)
    inside = np.where(ink, distance - 0.5, 0.0)  # from a pixel's middle to the edge of the paper, half pixels
    return _divide(2.0 * inside.sum(axis=(1, 2)), ink.sum(axis=(1, 2))).astype("float32")


class Measure(NamedTuple):
    """A measured attribute: its function, the range in its unit, and the condition of which that range becomes."""

    of: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    condition: Scalar

    def scaled(self, images: np.ndarray) -> np.ndarray:
        """The attribute of each image (N, H, W, C) in the range of the condition: float32 (N,)."""
        place = np.clip((self.of(images) - self.low) / (self.high - self.low), 0.0, 1.0)
        return (self.condition.low + place * (self.condition.high - self.condition.low)).astype("float32")


MEASURES = {
    "thickness": Measure(thickness, 1.0, 5.0, Scalar(0.0, 1.0)),
    "slant": Measure(slant, -1.0, 1.0, Scalar(-1.0, 1.0)),
    "width": Measure(width, 2.0, 22.0, Scalar(0.0, 1.0)),
}
"""The attributes that are measured on images."""


def conditions_of(num_classes: int, names: Sequence[str]) -> dict[str, Condition]:
    """What a network is told: the label, and its attributes."""
    return {"label": Label(num_classes), **conditions(names)}


def conditions(names: Sequence[str]) -> dict[str, Scalar]:
    """The conditions of attributes: those of `MEASURES`, and a number 0 ... 1 for any that a data set has itself."""
    return {name: MEASURES[name].condition if name in MEASURES else Scalar(0.0, 1.0) for name in names}


def ranges(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The least and the greatest number that each attribute may have."""
    return {name: (kind.low, kind.high) for name, kind in conditions(names).items()}


def measure(images: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Measured attributes of images, in the ranges of their conditions.

    Args:
        images: uint8, or float in 0 ... 255, (N, H, W, C).
        names: Some of `MEASURES`.

    Returns:
        dict of float32 (N,).

    Example:
        >>> measure(np.zeros((2, 28, 28, 1), "uint8"), ["slant"])
        {'slant': array([0., 0.], dtype=float32)}
    """
    parts = [images[i : i + ROWS] for i in range(0, len(images), ROWS)]
    return {name: np.concatenate([MEASURES[name].scaled(part) for part in parts]) for name in names}


def _ink(images):
    """0 ... 1, (N, H, W): the mean of the channels."""
    return images.mean(axis=-1, dtype="float32") / np.float32(255)


def _moments(images):
    """M_rr, M_rc and M_cc (N,); 0 without ink."""
    ink = _ink(images).astype("float64")
    mass = ink.sum(axis=(1, 2))
    r, c = np.arange(ink.shape[1])[:, None], np.arange(ink.shape[2])

    def mean(values):
        return _divide((ink * values).sum(axis=(1, 2)), mass)

    dr, dc = (np.asarray(axis) - mean(axis)[:, None, None] for axis in (r, c))
    return mean(dr * dr), mean(dr * dc), mean(dc * dc)


def _divide(a, b):
    """a / b, and 0 where b is as good as 0."""
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=np.abs(b) > 1e-9)


def _doubled(ink):
    """Twice the resolution, bilinear: (N, H, W) -> (N, 2 H, 2 W), for images with paper at their edges."""
    for axis in (1, 2):
        halves = [0.75 * ink + 0.25 * np.roll(ink, shift, axis) for shift in (1, -1)]
        ink = np.stack(halves, axis=axis + 1).reshape(*ink.shape[:axis], -1, *ink.shape[axis + 1 :])
    return ink
