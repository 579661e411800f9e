"""A look at the first batch: what would train silently and badly is refused before the first step."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_ddpm.conditions import Condition


def check_first_batch(x, y, conditions: Mapping[str, Condition] | None = None) -> None:
    """Check the first images and conditions that `fit` is going to see.

    Args:
        x, y: Arguments of `keras.Model.fit`.
        conditions: The model's conditions; None for a model that is told nothing.

    Raises:
        ValueError: if there is no pair of images and conditions, the images are not in [-1, 1], or a condition is
            missing, unknown or out of range.
    """
    images, given = _first(x, y)
    given = given if isinstance(given, Mapping) else {"label": given}
    if conditions is not None and set(given) != set(conditions):
        raise ValueError(f"The data's conditions must be {sorted(conditions)}. Received: {sorted(given)}")
    if images.ndim != 4:
        raise ValueError(f"Images must have shape (N, H, W, C). Received: {images.shape}")
    low, high = float(np.min(images)), float(np.max(images))
    if not -1.001 <= low < 0 or high > 1.001:  # NaN too; not one negative value means [0, 1] or 0 ... 255
        raise ValueError(
            f"Images must be in [-1, 1], with -1 black. Received: values from {low:g} to {high:g} in the first batch. "
            "Divide 0..255 by 127.5 and subtract 1"
        )
    for name, kind in (conditions or {}).items():
        kind.check(np.asarray(given[name]), name)


def _first(x, y):
    """The first images and conditions, as NumPy arrays."""
    if isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif y is not None:
        batch = (x[:512], keras.tree.map_structure(lambda a: a[:512], y))
    elif hasattr(x, "element_spec"):  # tf.data
        batch = next(iter(x.take(1)))
    else:
        raise ValueError("Give images and labels, or a PyDataset or tf.data.Dataset of (images, labels)")
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise ValueError(f"A batch must be a pair (images, labels). Received: {type(batch).__name__}")
    return np.asarray(batch[0]), keras.tree.map_structure(np.asarray, batch[1])
