"""What may be asked for: digits, guidance and seeds, checked before any work and broadcast like NumPy."""

import numpy as np

MAX_SEED = 2**63 - 1


def check_request(digit, w, seed, *, num_classes, own=None):
    """Check and broadcast the three arguments of every door.

    Args:
        digit: int or array of ints, 0 ... num_classes - 1.
        w: finite float or array; None takes `own`.
        seed: int or array of ints, 0 ... 2^63 - 1; None draws fresh ones.
        num_classes: Number of classes.
        own: A preset's own w: one for all classes, or one for each.

    Returns:
        digit int32, w float32, seed int64, all of one shape.

    Raises:
        ValueError: naming the argument and the first value that cannot be.
    """
    digit = _integers(digit, "digit", num_classes - 1)
    seed = None if seed is None else _integers(seed, "seed", MAX_SEED)
    w = np.asarray(w_of_class(own, num_classes)[digit] if w is None else w)
    if not w.size:
        raise ValueError("`w` must hold at least one number. Received: an empty array")
    if w.dtype.kind not in "iuf" or not np.all(np.isfinite(w.astype("float32"))):
        raise ValueError(f"`w` must be finite numbers. Received: {w.tolist()!r:.60}")
    shapes = [a.shape for a in (digit, w, seed) if a is not None]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ValueError(f"`digit`, `w` and `seed` must broadcast together. Received shapes: {shapes}") from error
    seed = fresh_seeds(shape) if seed is None else seed
    pairs = ((digit, "int32"), (w, "float32"), (seed, "int64"))
    return tuple(np.broadcast_to(a.astype(dtype), shape) for a, dtype in pairs)


def w_of_class(w, num_classes):
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


def in_words(w):
    """One w, or one for each class, as text."""
    return " ".join(f"{value:g}" for value in np.atleast_1d(w))


def fresh_seeds(shape):
    """Seeds that were never used: int64 of the given shape, 0 ... 2^63 - 1."""
    return np.asarray(np.random.default_rng().integers(0, MAX_SEED, size=shape, endpoint=True))


def _integers(value, name, largest):
    array = np.asarray(value)
    top = "2^63 - 1" if largest == MAX_SEED else largest
    if not array.size:
        raise ValueError(f"`{name}` must hold at least one number. Received: an empty array")
    wrong = array if array.dtype.kind not in "iu" else array[(array < 0) | (array > largest)]
    if wrong.size:
        raise ValueError(
            f"`{name}` must be in 0..{top}, an integer. Received: {wrong.reshape(-1)[:1].tolist()[0]!r:.60}"
        )
    return array
