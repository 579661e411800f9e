"""What `Client.restore` sends, a row for each image: it, its mask, a digit that may be unknown, w and a seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import arguments
from .errors import InvalidRequest, invalid, reading_response

UNKNOWN = -1  # the digit of an image whose digit is not known


def inputs(
    image: ArrayLike,
    mask: ArrayLike,
    digit: ArrayLike | None,
    w: ArrayLike | None,
    seed: ArrayLike | None,
    *,
    model: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """The inputs of the signature `restore` of a model with such metadata; the arguments are `Client.restore`'s.

    Returns:
        dict of image uint8 (N, H, W, C), mask uint8 (N, H, W), digit, w and seed (N,).

    Raises:
        InvalidRequest: naming what is wrong.
    """
    if digit is None and w is not None:
        raise invalid("w", "None without a `digit`, to which it would guide", w)
    shape = tuple(model["image_shape"])
    pictures, masks = arguments.pictures("image", image, shape), arguments.missing(mask, shape[:2])
    largest = model["num_classes"] - 1
    one = {
        "digit": np.asarray(UNKNOWN) if digit is None else arguments.integers("digit", digit, largest),
        "w": np.asarray(model["w"], "float32") if w is None else arguments.guidance(w),
        "image": np.empty(pictures.shape[:-3]),
        "mask": np.empty(masks.shape[:-2]),
    }
    if seed is not None:
        one["seed"] = arguments.integers("seed", seed)
    N, rows = arguments.rows(**one)
    rows |= {} if "seed" in rows else {"seed": arguments.fresh_seeds(N)}
    images = np.broadcast_to(pictures, (N, *shape))
    return rows | {"image": images, "mask": np.broadcast_to(masks, (N, *shape[:2]))}


def calls(model: Mapping[str, Any]) -> int:
    """How often a model calls its network for an image.

    Raises:
        InvalidRequest: for a model of latents, or one that was exported before there was `restore`.
        ServingError: if its metadata make no sense.
    """
    if "latent_shape" in model:
        raise InvalidRequest("This model diffuses latents, of which no pixel is known: it has no `restore`")
    if "restore" not in model:
        raise InvalidRequest("This model was exported before there was `restore`: export it again, or use `sample`")
    with reading_response():
        steps, repeats = (int(model["restore"][name]) for name in ("steps", "repeats"))
        if not 0 < steps * repeats < 2**31:
            raise ValueError(f"`restore` must have positive steps and repeats: {model['restore']!r:.100}")
        return steps * repeats
