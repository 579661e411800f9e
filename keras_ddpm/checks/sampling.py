"""What sampling is asked for: conditions, guidance and seeds, checked before any work and broadcast like NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_ddpm.conditions import Condition, Label

MAX_SEED = 2**63 - 1
PUBLIC = {"label": "digit"}
"""The names that people use for some conditions."""


def check_request(
    digit: Any, w: Any, seed: Any, *, num_classes: int, own=None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check and broadcast the arguments of a model that knows one condition, its label.

    Args:
        digit: int or array of ints, 0 ... num_classes - 1.
        w, seed, own: See `check_conditions`.
        num_classes: Number of classes.

    Returns:
        digit int32, w float32, seed int64, all of one shape.

    Raises:
        ValueError: naming the argument and the first bad value.
    """
    condition, w, seed = check_conditions({"label": digit}, w, seed, conditions={"label": Label(num_classes)}, own=own)
    return condition["label"], w, seed


def check_conditions(
    given: Mapping[str, Any], w: Any, seed: Any, *, conditions: Mapping[str, Condition], own=None
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Check and broadcast what is asked of a model.

    Args:
        given: A value or an array for each condition; one that is None or missing becomes its null.
        w: Finite float or array; None takes `own`.
        seed: int or array of ints, 0 ... 2^63 - 1; None draws fresh ones.
        conditions: The model's conditions.
        own: A preset's own w: one for all classes, or one for each.

    Returns:
        dict of arrays, w float32, seed int64, all of one shape.

    Raises:
        ValueError: naming the argument and the first bad value.
    """
    unknown = sorted(set(given) - set(conditions))
    if unknown:
        raise ValueError(f"This model's conditions are {sorted(conditions)}. Received: {unknown}")
    arrays = {name: _values(given.get(name), kind, PUBLIC.get(name, name)) for name, kind in conditions.items()}
    if seed is not None:
        arrays["seed"] = _seeds(seed)
    arrays["w"] = np.asarray(_own_w(own, conditions, arrays) if w is None else w)
    _check_w(arrays["w"])
    names = [PUBLIC.get(name, name) for name in arrays]
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        shapes = {name: array.shape for name, array in zip(names, arrays.values())}
        raise ValueError(f"{', '.join(f'`{n}`' for n in names)} must broadcast together. Received: {shapes}") from error
    if seed is None:
        arrays["seed"] = fresh_seeds(shape)
    dtypes = {"w": "float32", "seed": "int64"} | {name: kind.dtype for name, kind in conditions.items()}
    spread = {name: np.broadcast_to(array.astype(dtypes[name]), shape) for name, array in arrays.items()}
    return {name: spread[name] for name in conditions}, spread["w"], spread["seed"]


def check_asked(
    digit: Any, w: Any, seed: Any, attributes: Mapping[str, Any], *, conditions: Mapping[str, Condition], own=None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Check and broadcast what is asked of a model that may know attributes beside its label.

    Args:
        digit, w, seed, own: See `check_request`.
        attributes: A value or an array for each; one that is None is not given.
        conditions: The model's conditions, `label` among them.

    Returns:
        digit int32, w float32, seed int64, and a dict of those attributes that are given, float32, all of one shape.

    Raises:
        ValueError: naming the argument and the first bad value, or the first attribute that the model does not know.
    """
    known = sorted(set(conditions) - {"label"})
    for name, value in attributes.items():
        if name not in known:
            there = f"it has {known}" if known else "it has none"
            raise ValueError(f"`{name}` is no attribute of this preset: {there}. Received: {name} = {value!r:.60}")
    given = {name: value for name, value in attributes.items() if value is not None}
    condition, w, seed = check_conditions({"label": digit, **given}, w, seed, conditions=conditions, own=own)
    return condition["label"], w, seed, {name: condition[name] for name in given}


def check_baked_w(w: Any, own) -> None:
    """Raise for another w than the one that a model without guidance was made for.

    Args:
        w: What is asked for; None for nothing.
        own: The model's w.

    Raises:
        ValueError: naming the only w there is.
    """
    if w is not None and np.asarray(w).dtype.kind in "iuf" and np.any(np.asarray(w) != own):
        raise ValueError(f"`w` must be {in_words(own)}, which is baked into this model, or None. Received: {w!r:.60}")


def w_of_class(w: Any, num_classes: int) -> np.ndarray:
    """The guidance of each class, of one for all or one for each.

    Args:
        w: float, or `num_classes` of them.
        num_classes: Number of classes.

    Returns:
        float32 (num_classes,).

    Raises:
        ValueError: if it is neither, or not finite.
    """
    table = np.asarray(w, "float32")
    if table.shape not in ((), (num_classes,)) or not np.all(np.isfinite(table)):
        raise ValueError(f"`w` must be finite: one number, or one for each of {num_classes} classes. Received: {w}")
    return np.broadcast_to(table, (num_classes,))


def in_words(w: Any) -> str:
    """One w, or one for each class, as text."""
    return " ".join(f"{value:g}" for value in np.atleast_1d(w))


def check_number(name: str, value: Any, least: int) -> int:
    """An integer of at least `least`.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"`{name}` must be an integer >= {least}. Received: {value!r:.60}")
    return int(value)


def steps_in_words(count: int) -> str:
    """A number of steps as text."""
    return "1 step" if count == 1 else f"{count} steps"


def temperature_in_words(temperature: float) -> str:
    """What to append to a sampler's description: nothing for 1."""
    return "" if temperature == 1 else f", temperature {temperature:g}"


def fresh_seeds(shape) -> np.ndarray:
    """Seeds that were never used: int64 of the given shape, 0 ... 2^63 - 1."""
    return np.asarray(np.random.default_rng().integers(0, MAX_SEED, size=shape, endpoint=True))


def _values(value, kind, name):
    if value is None:
        return np.asarray(kind.null, kind.dtype)
    if not np.size(value):
        raise ValueError(f"`{name}` must hold at least one number. Received: an empty array")
    return kind.check(value, name)


def _seeds(seed):
    array = np.asarray(seed)
    if not array.size:
        raise ValueError("`seed` must hold at least one number. Received: an empty array")
    wrong = array if array.dtype.kind not in "iu" else array[(array < 0) | (array > MAX_SEED)]
    if wrong.size:
        first = wrong.reshape(-1)[:1].tolist()[0]
        raise ValueError(f"`seed` must be in 0..2^63 - 1, an integer. Received: {first!r:.60}")
    return array


def _own_w(own, conditions, arrays):
    if np.ndim(own) == 0:
        return np.asarray(own, "float32")
    return w_of_class(own, conditions["label"].num_classes)[arrays["label"]]


def _check_w(w):
    if not w.size:
        raise ValueError("`w` must hold at least one number. Received: an empty array")
    if w.dtype.kind not in "iuf" or not np.all(np.isfinite(w.astype("float32"))):
        raise ValueError(f"`w` must be finite numbers. Received: {w.tolist()!r:.60}")
