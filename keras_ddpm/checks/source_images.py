"""What is asked of a function that starts from an image: the image, and a digit that may be unknown.

The axes in front of an image, () or (N,), broadcast with digit, w and seed. Each of them is then drawn n times.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_ddpm.checks.sampling import MAX_SEED, check_baked_w, check_conditions, fresh_seeds
from keras_ddpm.conditions import Label


def check_image(image: Any, shape: tuple[int, ...], *, of: str, floats: bool = False) -> np.ndarray:
    """An image, or a batch of images, of one size.

    Args:
        image: uint8, or with `floats` also finite floats; of `shape`, or with one axis more in front. A last axis of 1
            may be left out.
        shape: What one image must have, (h, w, C) or what an operator measures.
        of: What has this shape, for the error.
        floats: Whether floats are measurements too.

    Returns:
        The image, of `shape`, or the images (N, *shape).

    Raises:
        ValueError: saying what was expected and what came.
    """
    kinds = "uint8 or float" if floats else "uint8"
    try:
        array = np.asarray(image)
    except ValueError as error:
        raise ValueError(f"`image` must be {kinds}. Received rows of several lengths") from error
    if array.dtype != np.uint8 and not (floats and array.dtype.kind == "f" and np.all(np.isfinite(array))):
        raise ValueError(f"`image` must be {kinds}{' and finite' * floats}. Received: {array.dtype}")
    lead = lead_before(array, shape)
    if lead is None:
        raise ValueError(
            f"`image` must be {in_words(shape)}, {of}, or a batch (N, ...) of them. Received: {array.shape}"
        )
    return array.reshape(*lead, *shape)


def check_label(digit: Any, w: Any, seed: Any, *, sampling: Any, num_classes: int) -> dict[str, Any]:
    """A digit, w and seed. A digit that is None is unknown: the network is told the null, and there is no guidance.

    Args:
        digit, w, seed: See `checks.sampling.check_conditions`.
        sampling: The preset's `SamplingConfig`.
        num_classes: Number of classes.

    Returns:
        dict of label int32, w float32 and seed int64 or None, arrays of one shape.

    Raises:
        ValueError: for a wrong one, or a w without a digit.
    """
    if sampling.guidance == "none":
        check_baked_w(w, sampling.w)
    elif digit is None and w is not None:
        raise ValueError(f"`w` must be None without a `digit`, to which it would guide. Received: {w!r:.60}")
    w, conditions = 1.0 if digit is None else w, {"label": Label(num_classes)}
    condition, w, first = check_conditions({"label": digit}, w, seed, conditions=conditions, own=sampling.w)
    return {"label": condition["label"], "w": w, "seed": None if seed is None else first}


def lead_of(rows: Mapping[str, np.ndarray], images: Mapping[str, tuple[np.ndarray, int]]) -> tuple[int, ...]:
    """The axes in front of all arguments together.

    Args:
        rows: Arrays of one number for each image.
        images: Arrays by name, each with the number of axes that one of them has.

    Raises:
        ValueError: if they do not broadcast.
    """
    shapes = {name: value.shape for name, value in rows.items()}
    shapes |= {name: value.shape[: value.ndim - axes] for name, (value, axes) in images.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError as error:
        names = ", ".join(f"`{name}`" for name in shapes)
        raise ValueError(f"{names} must broadcast together. Received: {shapes}") from error


def seeds_of(first: np.ndarray | None, lead: tuple[int, ...], n: int) -> np.ndarray:
    """The seeds first, first + 1, ... of each image: int64 (*lead, n); fresh ones for None.

    Raises:
        ValueError: if they leave the range of seeds.
    """
    if first is None:
        return fresh_seeds((*lead, n))
    if first.max() > MAX_SEED - (n - 1):
        raise ValueError(f"`seed` + `n` - 1 must be at most 2^63 - 1. Received: {first.max()} and {n}")
    return np.broadcast_to(first, lead)[..., None] + np.arange(n)


def spread(value: np.ndarray, axes: int, lead: tuple[int, ...], n: int) -> np.ndarray:
    """One row for each picture: (*any lead, *row) -> (N * n, *row), where a row has so many axes."""
    row = np.shape(value)[np.ndim(value) - axes :]
    return np.repeat(np.broadcast_to(value, (*lead, *row)).reshape(-1, *row), n, axis=0)


def lead_before(array: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes before an image of this shape, whose last axis of 1 may be left out: () or (N,); None for neither."""
    for image in (shape, shape[:-1]) if shape[-1] == 1 else (shape,):
        lead = array.shape[: array.ndim - len(image)] if array.ndim >= len(image) else None
        if lead is not None and array.shape[len(lead) :] == image and (lead == () or (len(lead) == 1 and lead[0] > 0)):
            return lead
    return None


def in_words(shape: tuple[int, ...]) -> str:
    """A shape as text, without a last axis of 1."""
    sizes = shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape
    return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"
