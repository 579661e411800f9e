"""The only place where uint8 becomes [-1, 1], and back."""

from typing import Any

import numpy as np


def to_float(images: np.ndarray) -> np.ndarray:
    """0 ... 255 -> float32 in [-1, 1]."""
    return images.astype("float32") / 127.5 - 1.0


def to_uint8(images: np.ndarray) -> Any:
    """float in [-1, 1], clipped -> uint8, rounded to the nearest; an array for an array, a tensor for a tensor."""
    if isinstance(images, np.ndarray):
        return np.round((np.clip(images.astype("float32"), -1.0, 1.0) + 1.0) * np.float32(127.5)).astype("uint8")
    from keras import ops

    return ops.cast(ops.round((ops.clip(images, -1.0, 1.0) + 1.0) * 127.5), "uint8")
