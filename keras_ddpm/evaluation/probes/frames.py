"""The diffusion process as stacks of uint8 images, at evenly spread moments.

forward    real images with more and more noise     x_t = alpha_t x_0 + sigma_t eps,  t = 0 ... 1
reverse    the states x_t of sampling, from noise to image
estimate   the x_0 estimates made from them
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_ddpm.data import to_float, to_uint8

FRAMES = 21


class Frames(NamedTuple):
    """images uint8 (F, N, H, W, C), the digits meant, int (N,), and the share of the process completed, (F,)."""

    images: np.ndarray
    labels: np.ndarray
    progress: np.ndarray


def reverse_frames(path: dict[str, np.ndarray], labels: np.ndarray, *, times: np.ndarray) -> dict[str, Frames]:
    """Frames of the reverse process, at most `FRAMES` of them.

    Args:
        path: `x_T` float (N, H, W, C); the states after each step `x_s` and the estimates `x_0`, (N, S, H, W, C).
        labels: int (N,).
        times: (S,), at which the steps start, decreasing in (0, 1].

    Returns:
        dict of `reverse` and `estimate`.
    """
    states = np.concatenate([path["x_T"][:, None], path["x_s"]], axis=1)  # (N, S + 1, H, W, C)
    progress = 1 - np.append(times, 0.0)  # (S + 1,), 0 ... 1
    frames = {}
    for name, images in (("reverse", states), ("estimate", path["x_0"])):
        kept = spread(images.shape[1])
        frames[name] = Frames(to_uint8(np.moveaxis(images[:, kept], 1, 0)), labels, progress[kept])
    return frames


def forward_frames(
    images: np.ndarray,
    labels: np.ndarray,
    add_noise: Callable,
    *,
    levels: int,
    shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Frames:
    """Frames of the forward process, at most `FRAMES` of them.

    Args:
        images: uint8 (N, H, W, C), real.
        labels: int (N,).
        add_noise: Function (x_0, eps, t) -> x_t, with t in [0, 1].
        levels: Number of noise levels T; frames are taken at some of the times 0, 1/T ... 1.
        shape: Of the noise of one image; None for the image's.
        seed: Seed of the noise, which is the same at every t.

    Returns:
        `Frames`.
    """
    x_0 = to_float(images)
    eps = np.random.default_rng(seed).standard_normal((len(x_0), *(shape or x_0.shape[1:]))).astype("float32")
    progress = spread(levels + 1) / levels  # 0 ... 1
    stack = [to_uint8(np.asarray(add_noise(x_0, eps, t))) for t in progress]
    return Frames(np.stack(stack), labels, progress)


def spread(count: int, *, most: int = FRAMES) -> np.ndarray:
    """Up to `most` of the indices 0 ... count - 1, evenly spread, including the first and the last."""
    return np.unique(np.round(np.linspace(0, count - 1, min(count, most))).astype(int))
