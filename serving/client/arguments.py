"""Checks of digits, guidance, seeds, attributes and images before anything is sent.

They broadcast like NumPy's arrays, to one row for each image.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .errors import InvalidRequest, invalid

MAX_SEED = 2**63 - 1


def integers(name: str, value: ArrayLike, largest: int = MAX_SEED) -> np.ndarray:
    """An int64 array of integers in 0 ... largest, an argument of that name.

    Raises:
        InvalidRequest: naming the first value that is wrong.
    """
    expected = f"in 0..{'2^63 - 1' if largest == MAX_SEED else largest}, an integer"
    return _numbers(name, value, expected, "iu", lambda array: (array >= 0) & (array <= largest)).astype("int64")


def guidance(value: ArrayLike) -> np.ndarray:
    """A float32 array of finite numbers.

    Raises:
        InvalidRequest: naming the first value that is wrong.
    """
    with np.errstate(over="ignore"):
        finite = _numbers("w", value, "finite numbers", "iuf", lambda array: np.isfinite(array.astype("float32")))
    return finite.astype("float32")


def attributes(given: Mapping[str, ArrayLike | None], ranges: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """A float32 array for each attribute of a model, NaN if it is not given.

    Args:
        given: A number or an array by name; one that is None is not given.
        ranges: The model's attributes, with the least and the greatest number of each.

    Raises:
        InvalidRequest: for an attribute that the model does not know, or naming the first number out of range.
    """
    for name, value in given.items():
        if name not in ranges:
            there = f"it has {sorted(ranges)}" if ranges else "it has none"
            raise InvalidRequest(f"`{name}` is no attribute of this model: {there}. Received: {name} = {value!r:.60}")
    return {name: _in_range(name, given.get(name), *ends) for name, ends in ranges.items()}


def rows(**arrays: np.ndarray) -> tuple[int, dict[str, np.ndarray]]:
    """Broadcast arrays to one row for each image: the number of rows N, and arrays (N,); scalars make one row.

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


def pictures(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """One image of shape (H, W, C) or several, uint8 (*shape) or (N, *shape); a last axis of 1 may be left out.

    Raises:
        InvalidRequest: for another type or shape.
    """
    bare = shape[:-1] if shape[-1] == 1 else shape
    expected = f"uint8 ({', '.join(map(str, bare))}), or a batch (N, ...)"
    array = _array(name, value, expected)
    lead = _lead(array, shape)
    if array.dtype != np.uint8 or lead is None:
        raise invalid(name, expected, f"{array.dtype} {array.shape}")
    return array.reshape(*lead, *shape)


def missing(value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """A mask: uint8 (H, W) or (N, H, W), 1 where a pixel is missing; made of bool, of 0 and 1, or of 0 and 255.

    Raises:
        InvalidRequest: for another shape or other values, or if all or nothing is missing.
    """
    expected = f"({', '.join(map(str, shape))}), or (N, ...), True (or 255) where a pixel is missing, else False"
    array = _array("mask", value, expected)
    lead = _lead(array, (*shape, 1))
    values = set(np.unique(array).tolist()) if array.dtype.kind in "biuf" else None
    if lead is None or values is None or not (values <= {0, 1} or values <= {0, 255}):
        came = array.dtype if values is None or len(values) > 2 else sorted(values)
        raise invalid("mask", expected, f"{came} {array.shape}")
    mask = (array.reshape(*lead, *shape) != 0).astype("uint8")
    share = mask.mean(axis=(-2, -1))
    if np.any((share == 0) | (share == 1)):
        raise invalid("mask", "such that some pixels are known and some missing", f"a share of {share.tolist()}")
    return mask


def fresh_seeds(count: int) -> np.ndarray:
    """Random seeds, int64 (count,)."""
    return np.random.default_rng().integers(0, MAX_SEED, size=count, endpoint=True)


def _in_range(name, value, low, high):
    if value is None:
        return np.full((), np.nan, "float32")
    numbers = _numbers(name, value, f"in {low:g}..{high:g}", "iuf", lambda array: (array >= low) & (array <= high))
    return numbers.astype("float32")


def _numbers(name, value, expected, kinds, right):
    """An array of NumPy's `kinds`, in which all numbers are `right`."""
    array = _array(name, value, expected)
    wrong = array[~right(array)] if array.dtype.kind in kinds else array
    if wrong.size:
        raise invalid(name, expected, wrong.reshape(-1)[0].item() if array.dtype != object else value)
    return array


def _lead(array, shape):
    """The axes before an image of this shape, whose last axis of 1 may be left out: () or (N,); None for neither."""
    for image in (shape, shape[:-1]) if shape[-1] == 1 else (shape,):
        lead = array.shape[: array.ndim - len(image)]
        if array.ndim in (len(image), len(image) + 1) and array.shape[len(lead) :] == image:
            return lead
    return None


def _array(name, value, expected):
    value = list(value) if isinstance(value, range) else value
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise invalid(name, expected, value) from error
    if not array.size:
        raise InvalidRequest(f"`{name}` must hold at least one number. Received: an empty array")
    return array
