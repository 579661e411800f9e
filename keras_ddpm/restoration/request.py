"""What restoration is asked for, checked before any work: one measurement, of the right shape and type."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm.checks.source_images import in_words, lead_before


def check_one(**measurements: Any) -> None:
    """Raise unless exactly one of several arguments is given.

    Raises:
        ValueError: naming those that are.
    """
    given = [name for name, value in measurements.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(f"`{name}`" for name in measurements)
        raise ValueError(f"Give exactly one of {names}. Received: {', '.join(given) or 'none'}")


def check_scale(scale: Any, image_shape: tuple[int, int, int]) -> int:
    """A scale that divides height and width.

    Raises:
        ValueError: listing the scales that there are.
    """
    H, W, _ = image_shape
    scales = [s for s in range(2, min(H, W) + 1) if H % s == 0 and W % s == 0]
    if isinstance(scale, bool) or not isinstance(scale, int | np.integer) or scale not in scales:
        raise ValueError(f"`scale` must divide the {H} x {W} pixels: one of {scales}. Received: {scale!r:.60}")
    return int(scale)


def check_mask(mask: Any, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Which pixels are known.

    Args:
        mask: True, 1 or 255 where a pixel is missing; (H, W), or one for each image, (N, H, W).
        image_shape: (H, W, C).

    Returns:
        float32 (H, W, 1) or (N, H, W, 1), 1 where a pixel is known.

    Raises:
        ValueError: for another shape or other values, or if all or nothing is missing.
    """
    array, shape = np.asarray(mask), (*image_shape[:2], 1)
    lead = lead_before(array, shape)
    if lead is None:
        raise ValueError(f"`mask` must be {in_words(shape)}, as the image is, or (N, ...). Received: {array.shape}")
    values = np.unique(array) if array.dtype.kind in "biuf" else None
    if values is None or not (set(values.tolist()) <= {0, 1} or set(values.tolist()) <= {0, 255}):
        came = array.dtype if values is None else f"{array.dtype} with {len(values)} values up to {values[-1]}"
        raise ValueError(f"`mask` must be True (or 255) where a pixel is missing, else False (or 0). Received: {came}")
    missing = array.reshape(*lead, *shape) != 0
    share = missing.mean(axis=(-3, -2, -1))
    if np.any((share == 0) | (share == 1)):
        which = "nothing" if np.any(share == 0) else "all"
        raise ValueError(f"`mask` must leave some pixels known and some missing. Received one where {which} is missing")
    return 1.0 - missing.astype("float32")


def check_operator(operator: Any, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Raise unless A is linear and A+ is a pseudo-inverse of it, as far as one random image tells.

    Returns:
        The shape of one measurement.

    Raises:
        ValueError: naming the law that does not hold.
    """
    try:
        A, A_pinv = operator
    except TypeError as error:
        raise ValueError(f"`operator` must be a pair of functions, A and A+. Received: {operator!r:.60}") from error
    x = np.random.default_rng(0).uniform(-1, 1, (1, *image_shape)).astype("float32")
    y = _run(A, x)
    if y.ndim < 2 or len(y) != 1:
        raise ValueError(f"`operator`: A must return a measurement with the batch first. Received: {y.shape}")
    back = _run(A_pinv, y)
    if back.shape != x.shape:
        raise ValueError(f"`operator`: A+ must return images {x.shape}. Received: {back.shape}")
    if not np.allclose(_run(A, -2 * x), -2 * y, atol=1e-3):
        raise ValueError("`operator`: A must be linear, A(-2 x) = -2 A(x). It is not for a random image")
    if not np.allclose(_run(A, back), y, atol=1e-3):
        raise ValueError("`operator`: A A+ A must be A. It is not for a random image")
    return y.shape[1:]


def check_noise(noise: Any) -> float:
    """A finite number of at least 0.

    Raises:
        ValueError: for anything else.
    """
    fine = isinstance(noise, int | float | np.number) and not isinstance(noise, bool) and 0 <= noise < np.inf
    if not fine:
        raise ValueError(f"`noise` must be a finite number >= 0, in grey levels. Received: {noise!r:.60}")
    return float(noise)


def _run(function: Callable, x: np.ndarray) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(x))))
