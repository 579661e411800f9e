"""What may be asked for, checked before anything is sent.

Digits, guidance and seeds broadcast like NumPy's arrays, to one row for each image.
"""

import numpy as np

from serving.errors import InvalidRequest, wrong

MAX_SEED = 2**63 - 1


def integers(name, value, largest=None):
    """An array of integers in 0 ... largest.

    Args:
        name: For the error.
        value: int or array of ints.
        largest: None: as large as int64.

    Raises:
        InvalidRequest: naming the first value that cannot be.
    """
    top = MAX_SEED if largest is None else largest
    expected = f"in 0..{'2^63 - 1' if top == MAX_SEED else top}, an integer"
    array = _array(name, value, expected)
    wrong_ones = array if array.dtype.kind not in "iu" else array[(array < 0) | (array > top)]
    if wrong_ones.size:
        raise wrong(name, expected, wrong_ones.reshape(-1)[0].item() if array.dtype != object else value)
    return array.astype("int64")


def guidance(value):
    """An array of finite float32.

    Raises:
        InvalidRequest: for anything else.
    """
    array = _array("w", value, "finite numbers")
    with np.errstate(over="ignore"):
        if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array.astype("float32"))):
            raise wrong("w", "finite numbers", value)
    return array.astype("float32")


def rows(**arrays):
    """Broadcast arrays to one row for each image.

    Returns:
        Number of rows N, and a dict of arrays (N,); scalars make one row.

    Raises:
        InvalidRequest: if the shapes do not fit, or have more than one axis.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    names = ", ".join(f"`{name}`" for name in arrays)
    try:
        shape = np.broadcast_shapes((1,), *shapes.values())
    except ValueError as error:
        raise InvalidRequest(f"{names} must broadcast together. Received shapes: {shapes}") from error
    if len(shape) != 1:
        raise InvalidRequest(f"{names} must broadcast to (N,). Received shapes: {shapes}")
    return shape[0], {name: np.broadcast_to(array, shape) for name, array in arrays.items()}


def fresh_seeds(count):
    """Seeds that were never used, int64 (count,)."""
    return np.random.default_rng().integers(0, MAX_SEED, size=count, endpoint=True)


def _array(name, value, expected):
    value = list(value) if isinstance(value, range) else value
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise wrong(name, expected, value) from error
    if not array.size:
        raise InvalidRequest(f"`{name}` must hold at least one number. Received: an empty array")
    return array
