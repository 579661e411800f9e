"""The few operations that `noise.py` computes with, in NumPy, by their names in `keras.ops`."""

from typing import Any

import numpy as np
from numpy import asarray as convert_to_tensor
from numpy import (
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    concatenate,
    cos,
    log,
    reshape,
    sin,
    split,
    sqrt,
    zeros_like,
)

__all__ = [
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "cast",
    "concatenate",
    "convert_to_tensor",
    "cos",
    "log",
    "reshape",
    "sin",
    "split",
    "sqrt",
    "zeros_like",
]


def cast(x: Any, dtype: str) -> np.ndarray:
    """An array of another type."""
    return convert_to_tensor(x).astype(dtype)
