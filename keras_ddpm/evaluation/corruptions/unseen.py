"""Ways to degrade a digit that the digit CLIP was never trained on, to find out what it detects.

The first two leave a visibly bad digit. The others are subtle: they are here to document what the digit CLIP misses.

    y = degrade(x, rng)        x, y: uint8 (N, H, W, 1)
"""

import numpy as np
from scipy import ndimage

from keras_ddpm.evaluation.corruptions.degradations import grey_levels


def motion_blur(images: np.ndarray, rng: np.random.Generator, *, length: int = 9) -> np.ndarray:
    """Blurs each image along a row, a column or a diagonal.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        length: Length of the motion, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    eye = np.eye(length)
    level = np.zeros_like(eye)
    level[length // 2] = 1.0
    kernels = [kernel / length for kernel in (level, level.T, eye, eye[::-1])]
    chosen = rng.integers(len(kernels), size=len(images))
    moved = [ndimage.convolve(x[..., 0].astype("float32"), kernels[k]) for x, k in zip(images, chosen, strict=True)]
    return grey_levels(np.stack(moved)[..., None])


def pixelate(images: np.ndarray, rng: np.random.Generator, *, cell: int = 4) -> np.ndarray:
    """Replaces cells by their mean.

    Args:
        images: uint8 array (N, H, W, 1), H and W multiples of `cell`.
        rng: Unused; every function here takes one.
        cell: Side of a cell, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, c = images.shape
    means = images.reshape(n, h // cell, cell, w // cell, cell, c).mean(axis=(2, 4))
    return grey_levels(means.repeat(cell, axis=1).repeat(cell, axis=2))


def mirror(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Swaps left and right.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: Unused.

    Returns:
        uint8 array (N, H, W, 1).
    """
    return images[:, :, ::-1]


def small_gap(images: np.ndarray, rng: np.random.Generator, *, side: int = 3) -> np.ndarray:
    """Erases a small square around one stroke pixel.

    Args:
        images: uint8 array (N, H, W, 1), each with at least one pixel above 127.
        rng: `numpy.random.Generator`.
        side: Side of the square, odd, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    result = images.copy()
    for x in result:
        row, column = rng.choice(np.argwhere(x[..., 0] > 127))
        half = side // 2
        x[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = 0
    return result


def thicken(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thickens strokes by one pixel on each side.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: Unused.

    Returns:
        uint8 array (N, H, W, 1).
    """
    return ndimage.grey_dilation(images, size=(1, 3, 3, 1))


def erode(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thins strokes: each pixel takes the minimum of a 2 x 2 window.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: Unused.

    Returns:
        uint8 array (N, H, W, 1).
    """
    return ndimage.grey_erosion(images, size=(1, 2, 2, 1))
