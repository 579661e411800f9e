"""From what a user has - a data set's name, arrays, a PyDataset or tf.data.Dataset - to batches and held-out images."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_ddpm.config import Config, choose
from keras_ddpm.data import attributes
from keras_ddpm.data.augmentation import AUGMENTATIONS
from keras_ddpm.data.batches import Batches
from keras_ddpm.data.datasets import Dataset, load, with_attributes
from keras_ddpm.data.pixels import to_float


class Source(NamedTuple):
    """What a training sees: batches, held-out images float (N, H, W, C) in [-1, 1] and their labels int (N,).

    With attributes, the labels are a dict of (N,) that has an entry for each condition.
    """

    batches: Any
    images: np.ndarray
    labels: Any
    num_classes: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.images.shape[1:]


def open_source(config: Config, data=None, *, validation=None, num_classes: int | None = None) -> Source:
    """Batches to train on, and images that are held out of the training split.

    Args:
        config: `Config`.
        data: None for `config.data.dataset`; or (images, labels), images uint8 or float in [-1, 1], of which the last
            `config.data.validation_images` are held out; or a PyDataset or tf.data.Dataset of batches. For attributes
            that are not measured on the images, labels are a dict: `label`, and each of these (N,) in 0 ... 1.
        validation: (images, labels) to validate on; needed with a PyDataset or tf.data.Dataset.
        num_classes: Number of classes; None: what the data set says, or the largest label plus 1.

    Returns:
        `Source`.

    Raises:
        ValueError: for data that cannot be trained on.
        FileNotFoundError: if the data set is not at hand.
    """
    names = config.data.attributes
    own = [name for name in names if name not in attributes.MEASURES]
    if data is not None and not isinstance(data, tuple | list | Dataset):
        return _from_batches(data, validation, num_classes, names, own)
    if data is None:
        known = load(config.data.dataset, "train", attributes=own, image_size=config.data.image_size)
    else:
        known = _from_arrays(data, num_classes, own)
    held = _from_arrays(validation, known.num_classes, own) if validation is not None else None
    rest, held = (known, held) if held else known.hold_out(config.data.validation_images)
    rest = rest.first(config.data.train_images)
    if held.image_shape != rest.image_shape:
        raise ValueError(f"Validation images must be {rest.image_shape}, like the others. Received: {held.image_shape}")
    batches = Batches(
        rest.images,
        _conditions(rest, names),
        batch_size=config.training.batch_size,
        seed=config.training.seed,
        augment=choose(AUGMENTATIONS, config.data.augmentation, "augmentation"),
        measure=functools.partial(attributes.measure, names=_measured(names)) if names else None,
    )
    return Source(batches, to_float(held.images), _conditions(held, names), known.num_classes)


def _conditions(dataset: Dataset, names: Sequence[str]) -> Any:
    """The labels (N,); with attributes a dict of these, the data set's own ones and the measured ones."""
    if not names:
        return dataset.labels
    given = dataset.labels if isinstance(dataset.labels, Mapping) else {"label": dataset.labels}
    return {**given, **attributes.measure(dataset.images, _measured(names))}


def _measured(names):
    return [name for name in names if name in attributes.MEASURES]


def _from_arrays(data, num_classes, own):
    images, labels = np.asarray(data[0]), data[1]
    given = dict(labels) if isinstance(labels, Mapping) else {"label": labels}
    if set(given) != {"label", *own}:
        raise ValueError(f"`data` must hold the labels {sorted({'label', *own})}. Received: {sorted(given)}")
    labels = np.asarray(given.pop("label"))
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            "`data` must be images (N, H, W[, C]) and one integer label each. "
            f"Received: {images.shape}, {labels.shape} {labels.dtype}"
        )
    if images.dtype != np.uint8:
        if not (images.dtype.kind == "f" and images.min() >= -1 and images.max() <= 1 and images.min() < 0):
            raise ValueError(
                "Images must be uint8, or float in [-1, 1] with -1 black. "
                f"Received: {images.dtype} from {images.min():g} to {images.max():g}"
            )
        images = (images.astype("float32") + 1.0) * 127.5  # the range in which images are augmented
    classes = num_classes or int(labels.max()) + 1
    return Dataset(images, with_attributes(labels.astype("int32"), given), classes)


def _from_batches(data, validation, num_classes, names, own):
    if validation is None or num_classes is None:
        raise ValueError("A PyDataset or tf.data.Dataset needs `validation` (images, labels) and `num_classes`")
    held = _from_arrays(validation, num_classes, own)
    return Source(data, to_float(held.images), _conditions(held, names), num_classes)


def count_batches(batches) -> int:
    """Batches of an epoch.

    Raises:
        ValueError: if there is no end to them, or none is known.
    """
    try:
        return len(batches)
    except TypeError as error:
        raise ValueError(
            "The data must be of known length, since the learning rate follows the number of steps: use "
            "`dataset.apply(tf.data.experimental.assert_cardinality(n))`, or `take(n)`"
        ) from error


def start(batches, epoch: int) -> None:
    """Go to the order of an epoch, for batches that have one of their own."""
    if isinstance(batches, Batches):
        batches.start(epoch)
