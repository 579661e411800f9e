"""Data sets in, images out: the only place where uint8 becomes [-1, 1] and back.

A data set is the name of a TFDS image-classification data set ("mnist", "cifar10", ...), or the path of an `.npz`
file in the format of `keras.datasets`: x_train, y_train, x_test, y_test.
"""

import pathlib
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

REMEDY = (
    "Either let TensorFlow Datasets find it: with a network it downloads by itself, without one set TFDS_DATA_DIR to a "
    "folder that holds it prepared. Or give the path of an .npz file with x_train, y_train, x_test, y_test, as "
    "`keras.datasets` keeps them: `--dataset path/to/mnist.npz`."
)


class Dataset(NamedTuple):
    """images uint8 (N, H, W, C), labels int32 (N,), and the number of classes."""

    images: np.ndarray
    labels: np.ndarray
    num_classes: int

    @property
    def image_shape(self):
        """(H, W, C)."""
        return self.images.shape[1:]

    def first(self, n):
        """The first n images; all of them for n = 0."""
        return Dataset(self.images[: n or None], self.labels[: n or None], self.num_classes)


def load(dataset="mnist", split="train"):
    """Load a data set into memory.

    Args:
        dataset: TFDS name, or path of an `.npz` file.
        split: "train" or "test" (for TFDS any split expression, such as "train[:1%]").

    Returns:
        `Dataset`.

    Raises:
        ValueError: if it is no image-classification data set with images of one size and labels 0 ... num_classes - 1.
        FileNotFoundError: if it is neither at hand nor to be had; the message gives both remedies.
    """
    images, labels, num_classes = (_load_npz if str(dataset).endswith(".npz") else _load_tfds)(str(dataset), split)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            "Expected uint8 images (N, H, W[, C]) and one label each. "
            f"Received from {dataset!r}: {images.dtype} {images.shape} and labels {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or not np.all((labels >= 0) & (labels < num_classes)):
        raise ValueError(f"Labels must be integers in 0..{num_classes - 1}. Not all of {dataset!r}'s {split!r} are")
    return Dataset(images, labels.astype("int32"), num_classes)


def to_float(images):
    """0 ... 255 -> float32 in [-1, 1]."""
    return images.astype("float32") / 127.5 - 1.0


def to_uint8(images):
    """float in [-1, 1], clipped -> uint8, rounded to the nearest; an array for an array, a tensor for a tensor."""
    levels = ops.cast(ops.round((ops.clip(images, -1.0, 1.0) + 1.0) * 127.5), "uint8")
    return np.asarray(levels) if isinstance(images, np.ndarray) else levels


class Batches(keras.utils.PyDataset):
    """Batches of (x_0, label), in an order that depends on the seed and the epoch alone.

    So a resumed run sees the batches that it would have seen. The last, incomplete batch of an epoch is dropped.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,).
        batch_size: Images a batch, at most N.
        seed: Non-negative integer.
        epoch: The epoch to start with.
        augment: Function `(uint8 images, NumPy generator) -> float images in 0 ... 255`, or None.
    """

    def __init__(self, images, labels, *, batch_size, seed=0, epoch=0, augment=None):
        super().__init__()
        if not 1 <= batch_size <= len(images):
            raise ValueError(f"`batch_size` must be in 1..{len(images)}, the number of images. Received: {batch_size}")
        self.images, self.labels, self.batch_size, self.seed = images, labels, batch_size, seed
        self.augment = augment
        self.start(epoch)

    def __len__(self):
        return len(self.images) // self.batch_size

    def __getitem__(self, i):
        rows = self.order[i * self.batch_size : (i + 1) * self.batch_size]
        images = self.images[rows]
        if self.augment:
            images = self.augment(images, np.random.default_rng([self.seed, self.epoch, i]))
        return to_float(images), self.labels[rows]

    def on_epoch_end(self):
        self.start(self.epoch + 1)

    def start(self, epoch):
        """Shuffle for the given epoch."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))


def _load_npz(path, split):
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path!r}. {REMEDY}")
    if split not in ("train", "test"):
        raise ValueError(f"`split` of an .npz file must be 'train' or 'test'. Received: {split!r}")
    try:
        with np.load(path) as arrays:
            images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
            num_classes = int(arrays["y_train"].max()) + 1
    except Exception as error:  # not a zip, truncated, pickled or without the keys
        raise ValueError(f"{path!r} is no .npz file with x_{split} and y_{split}: {error}") from error
    return images, labels.reshape(-1), num_classes


def describe(name):
    """What TFDS says of a data set, without its images.

    Args:
        name: TFDS name of an image-classification data set.

    Returns:
        The builder, the image's shape (H, W, C) and the number of classes.

    Raises:
        ValueError: if there is none of this name, or its images have no single size or no labels.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError, ModuleNotFoundError) as error:
        raise ValueError(f"TensorFlow Datasets knows no data set {name!r}. {REMEDY}") from error
    features = builder.info.features
    fits = {"image", "label"} <= set(features) and isinstance(features["label"], tfds.features.ClassLabel)
    if not fits or None in features["image"].shape:
        raise ValueError(f"{name!r} must have an `image` of one size and a `label`. It has: {features}")
    return builder, features["image"].shape, features["label"].num_classes


def _load_tfds(name, split):
    import tensorflow_datasets as tfds

    builder, _, num_classes = describe(name)
    try:
        if not builder.is_prepared():
            _check_network(builder)
            builder.download_and_prepare()
    except Exception as error:  # no network, no space, no permission: tfds raises many kinds
        raise FileNotFoundError(f"Data set {name!r} is not here and could not be fetched. {REMEDY}") from error
    try:
        arrays = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    except ValueError as error:
        raise ValueError(f"{name!r} has no split {split!r}: it has {sorted(builder.info.splits)}") from error
    return arrays["image"], arrays["label"], num_classes


def _check_network(builder):
    """Fail within seconds where there is no network; TFDS itself tries again for minutes."""
    import requests

    for url in list(builder.url_infos)[:1]:
        requests.head(url, timeout=10, allow_redirects=True)
