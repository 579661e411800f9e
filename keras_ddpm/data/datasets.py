"""Data sets: images and labels in memory.

A data set is the name of one that is made here (`MADE`), the name of a TFDS image-classification data set ("mnist",
"cifar10", ...), or the path of an `.npz` file in the format of `keras.datasets`: x_train, y_train, x_test, y_test.
"""

import hashlib
import pathlib
from typing import Any, NamedTuple

import numpy as np

from keras_ddpm.data import colour_mnist, digits_8x8

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
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return self.images.shape[1:]

    def first(self, n: int) -> "Dataset":
        """The first n images; all of them for n = 0."""
        return Dataset(self.images[: n or None], self.labels[: n or None], self.num_classes)

    def hold_out(self, n: int) -> tuple["Dataset", "Dataset"]:
        """All but the last n images, and the last n.

        Raises:
            ValueError: if either part would be empty.
        """
        if not 1 <= n < len(self.images):
            raise ValueError(
                f"`validation_images` must be in 1..{len(self.images) - 1}, fewer than the training split's "
                f"{len(self.images)} images. Received: {n}"
            )
        rest = Dataset(self.images[:-n], self.labels[:-n], self.num_classes)
        return rest, Dataset(self.images[-n:], self.labels[-n:], self.num_classes)

    def fingerprint(self) -> str:
        """A SHA-256 of all images with their labels, whatever their order: a copy in another file has the same."""
        labels = self.labels.astype("<i4")
        each = (hashlib.sha256(label.tobytes() + image.tobytes()).digest() for image, label in zip(self.images, labels))
        shape = str((*self.image_shape, self.num_classes)).encode()
        return hashlib.sha256(shape + b"".join(sorted(each))).hexdigest()


def load(dataset: str = "mnist", split: str = "train") -> Dataset:
    """Load a data set into memory.

    Args:
        dataset: "digits_8x8", "colour_mnist", a TFDS name, or the path of an `.npz` file.
        split: "train" or "test" (for TFDS any split expression, such as "train[:1%]").

    Returns:
        `Dataset`.

    Raises:
        ValueError: if it is no image-classification data set with images of one size and labels 0 ... num_classes - 1.
        FileNotFoundError: if it is not at hand and cannot be downloaded; the message gives both remedies.
    """
    dataset = str(dataset)
    read = _load_npz if dataset.endswith(".npz") else _make if dataset in MADE else _load_tfds
    images, labels, num_classes = read(dataset, split)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            "Expected uint8 images (N, H, W[, C]) and one label each. "
            f"Received from {dataset!r}: {images.dtype} {images.shape} and labels {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or not np.all((labels >= 0) & (labels < num_classes)):
        raise ValueError(f"Labels must be integers in 0..{num_classes - 1}. Not all of {dataset!r}'s {split!r} are")
    return Dataset(images, labels.astype("int32"), num_classes)


def _make(name, split):
    if split not in ("train", "test"):
        raise ValueError(f"`split` of {name!r} must be 'train' or 'test'. Received: {split!r}")
    return MADE[name](split)


def _digits_8x8(split):
    return *digits_8x8.make(split), digits_8x8.NUM_CLASSES


def _colour_mnist(split):
    mnist = load("mnist", split)
    return colour_mnist.colour(mnist.images, split=split).images, mnist.labels, colour_mnist.NUM_CLASSES


MADE = {"digits_8x8": _digits_8x8, "colour_mnist": _colour_mnist}
"""The data sets that are made here, by name: functions of a split."""


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


def describe(name: str) -> tuple[Any, tuple[int, ...], int]:
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
