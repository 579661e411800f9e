"""Checks of digits, guidance and seeds before anything is sent.

They broadcast like NumPy's arrays, to one row for each image.
"""

import numpy as np
from numpy.typing import ArrayLike

from .errors import InvalidRequest, invalid

MAX_SEED = 2**63 - 1


def integers(name: str, value: ArrayLike, largest: int = MAX_SEED) -> np.ndarray:
    """An int64 array of integers in 0 ... largest.

    Args:
        name: For the error.
        value: int or array of ints.
        largest: The greatest allowed.

    Raises:
        InvalidRequest: naming the first value that is wrong.
    """
    expected = f"in 0..{'2^63 - 1' if largest == MAX_SEED else largest}, an integer"
    array = _array(name, value, expected)
    wrong = array if array.dtype.kind not in "iu" else array[(array < 0) | (array > largest)]
    if wrong.size:
        raise invalid(name, expected, wrong.reshape(-1)[0].item() if array.dtype != object else value)
    return array.astype("int64")


def guidance(value: ArrayLike) -> np.ndarray:
    """A float32 array of finite numbers.

    Raises:
        InvalidRequest: for anything else.
    """
    array = _array("w", value, "finite numbers")
    with np.errstate(over="ignore"):
        if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array.astype("float32"))):
            raise invalid("w", "finite numbers", value)
    return array.astype("float32")


def rows(**arrays: np.ndarray) -> tuple[int, dict[str, np.ndarray]]:
    """Broadcast arrays to one row for each image.

    Returns:
        Number of rows N, and a dict of arrays (N,); scalars make one row.

    Raises:
        InvalidRequest: if the shapes do not fit, or have more than one axis.
    """
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    names = ", ".join(f"`{name}`" for name in arrays)
    try:
        shape = np.broadcast_shapes((1,), *shapes.values())
    except ValueError as error:
        raise InvalidRequest(f"{names} must broadcast together. Received shapes: {shapes}") from error
    if len(shape) != 1:
        raise InvalidRequest(f"{names} must broadcast to (N,). Received shapes: {shapes}")
    return shape[0], {name: np.broadcast_to(array, shape) for name, array in arrays.items()}


def fresh_seeds(count: int) -> np.ndarray:
    """Random seeds, int64 (count,)."""
    return np.random.default_rng().integers(0, MAX_SEED, size=count, endpoint=True)


def _array(name, value, expected):
    value = list(value) if isinstance(value, range) else value
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise invalid(name, expected, value) from error
    if not array.size:
        raise InvalidRequest(f"`{name}` must hold at least one number. Received: an empty array")
    return array
