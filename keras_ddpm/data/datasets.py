"""Data sets: images and labels in memory.

A data set is the name of one that is made here (`MADE`), the name of a TFDS image-classification data set ("mnist",
"cifar10", ...), or the path of an `.npz` file in the format of `keras.datasets`: x_train, y_train, x_test, y_test.
"""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_ddpm.conditions import Scalar
from keras_ddpm.data import canvas_mnist, colour_mnist, digits_8x8

REMEDY = (
    "Either let TensorFlow Datasets find it: with a network it downloads by itself, without one set TFDS_DATA_DIR to a "
    "folder that holds it prepared. Or give the path of an .npz file with x_train, y_train, x_test, y_test, as "
    "`keras.datasets` keeps them: `--dataset path/to/mnist.npz`."
)

READ = 1_000  # images that are read at a time
OWN = "attributes"  # the feature of TFDS that holds the attributes of celeb_a


class Dataset(NamedTuple):
    """images uint8 (N, H, W, C), labels int32 (N,), and the number of classes.

    With attributes of its own, the labels are a dict: `label`, and for each attribute float32 (N,) in 0 ... 1.
    """

    images: np.ndarray
    labels: Any
    num_classes: int

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return self.images.shape[1:]

    def first(self, n: int) -> "Dataset":
        """The first n images; all of them for n = 0."""
        return self._rows(slice(n or None))

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
        return self._rows(slice(-n)), self._rows(slice(-n, None))

    def _rows(self, rows):
        labels = self.labels
        part = {n: values[rows] for n, values in labels.items()} if isinstance(labels, Mapping) else labels[rows]
        return Dataset(self.images[rows], part, self.num_classes)

    def fingerprint(self) -> str:
        """A SHA-256 of all images with their labels, whatever their order: a copy in another file has the same."""
        labels = self.labels["label"] if isinstance(self.labels, Mapping) else self.labels
        labels = labels.astype("<i4")
        each = (hashlib.sha256(label.tobytes() + image.tobytes()).digest() for image, label in zip(self.images, labels))
        shape = str((*self.image_shape, self.num_classes)).encode()
        return hashlib.sha256(shape + b"".join(sorted(each))).hexdigest()


def load(
    dataset: str = "mnist", split: str = "train", *, attributes: Sequence[str] = (), image_size: int = 0
) -> Dataset:
    """Load a data set into memory.

    Args:
        dataset: "digits_8x8", "colour_mnist", "canvas_mnist", a TFDS name, or the path of an `.npz` file.
        split: "train" or "test" (for TFDS any split expression, such as "train[:1%]").
        attributes: Names of attributes that the data set has beside the label, numbers or bools (N,) in 0 ... 1: arrays
            called NAME_train and NAME_test of an `.npz` file; features of TFDS, alone or in one called `attributes`.
        image_size: Side to which the middle square of each image is resized; 0 leaves images as they are.

    Returns:
        `Dataset`.

    Raises:
        ValueError: if it is no image-classification data set with images of one size and labels 0 ... num_classes - 1.
        FileNotFoundError: if it is not at hand and cannot be downloaded; the message gives both remedies.
    """
    dataset = str(dataset)
    read = _load_npz if dataset.endswith(".npz") else _make if dataset in MADE else _load_tfds
    images, labels, num_classes, own = read(dataset, split, attributes, image_size)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            "Expected uint8 images (N, H, W[, C]) and one label each. "
            f"Received from {dataset!r}: {images.dtype} {images.shape} and labels {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or not np.all((labels >= 0) & (labels < num_classes)):
        raise ValueError(f"Labels must be integers in 0..{num_classes - 1}. Not all of {dataset!r}'s {split!r} are")
    return Dataset(squared(images, image_size), with_attributes(labels.astype("int32"), own), num_classes)


def with_attributes(labels: np.ndarray, attributes: Mapping[str, Any]) -> Any:
    """The labels of a `Dataset` with attributes.

    Args:
        labels: int32 (N,).
        attributes: dict of numbers or bools (N,) in 0 ... 1.

    Returns:
        The labels alone if there are no attributes, or a dict of `label` and float32 (N,).

    Raises:
        ValueError: naming the attribute that has another shape, or the first value that is out of range.
    """
    checked = {}
    for name, values in attributes.items():
        array = np.asarray(values)
        if array.shape != labels.shape:
            raise ValueError(f"`{name}` must be one number for each image, {labels.shape}. Received: {array.shape}")
        checked[name] = Scalar(0.0, 1.0).check(array.astype("float32") if array.dtype == bool else array, name)
    return {"label": labels, **checked} if checked else labels


def _make(name, split, attributes, image_size):
    if split not in ("train", "test"):
        raise ValueError(f"`split` of {name!r} must be 'train' or 'test'. Received: {split!r}")
    images, labels, num_classes, found = MADE[name](split)
    _check_attributes(name, attributes, list(found))
    return images, labels, num_classes, {attribute: found[attribute] for attribute in attributes}


def _digits_8x8(split):
    return *digits_8x8.make(split), digits_8x8.NUM_CLASSES, {}


def _colour_mnist(split):
    mnist = load("mnist", split)
    images, *colours = colour_mnist.colour(mnist.images, split=split)
    return images, mnist.labels, colour_mnist.NUM_CLASSES, colour_mnist.attributes_of(*colours)


def _canvas_mnist(split):
    mnist = load("mnist", split)
    return canvas_mnist.place(mnist.images, split=split), mnist.labels, canvas_mnist.NUM_CLASSES, {}


MADE = {"digits_8x8": _digits_8x8, "colour_mnist": _colour_mnist, "canvas_mnist": _canvas_mnist}
"""The data sets that are made here, by name: functions of a split, to images, labels, classes and attributes."""


def _load_npz(path, split, attributes, image_size):
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path!r}. {REMEDY}")
    if split not in ("train", "test"):
        raise ValueError(f"`split` of an .npz file must be 'train' or 'test'. Received: {split!r}")
    try:
        with np.load(path) as arrays:
            images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
            num_classes = int(arrays["y_train"].max()) + 1
            own = {name: arrays[f"{name}_{split}"] for name in attributes if f"{name}_{split}" in arrays}
    except Exception as error:  # not a zip, truncated, pickled or without the keys
        raise ValueError(f"{path!r} is no .npz file with x_{split} and y_{split}: {error}") from error
    _check_attributes(path, attributes, list(own))
    return images, labels.reshape(-1), num_classes, own


def _check_attributes(dataset, wanted, there):
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(f"`attributes` must be measured ones, or of {dataset!r}: {there}. Received: {missing}")


def describe(name: str) -> tuple[Any, tuple[int, ...], int]:
    """What TFDS says of a data set, without its images.

    Args:
        name: TFDS name of an image-classification data set.

    Returns:
        The builder, the image's shape (H, W, C) and the number of classes: 1 if there are `attributes`, but no label.

    Raises:
        ValueError: if there is none of this name, or its images have no single size or no labels.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError, ModuleNotFoundError) as error:
        raise ValueError(f"TensorFlow Datasets knows no data set {name!r}. {REMEDY}") from error
    features = dict(builder.info.features.items())
    label = features.get("label")
    fits = isinstance(label, tfds.features.ClassLabel) or (label is None and OWN in features)
    if not fits or "image" not in features or None in features["image"].shape:
        raise ValueError(f"{name!r} must have an `image` of one size and a `label`. It has: {features}")
    return builder, features["image"].shape, 1 if label is None else label.num_classes


def _load_tfds(name, split, attributes, image_size):
    import keras
    import tensorflow_datasets as tfds

    builder, _, num_classes = describe(name)
    features = dict(builder.info.features.items())
    _check_attributes(name, attributes, [*dict(features.get(OWN, {}).items()), *features])
    try:
        if not builder.is_prepared():
            _check_network(builder)
            builder.download_and_prepare()
    except Exception as error:  # no network, no space, no permission: tfds raises many kinds
        raise FileNotFoundError(f"Data set {name!r} is not here and could not be fetched. {REMEDY}") from error
    try:
        batches = tfds.as_numpy(builder.as_dataset(split=split, batch_size=READ))
    except ValueError as error:
        raise ValueError(f"{name!r} has no split {split!r}: it has {sorted(builder.info.splits)}") from error
    parts = [_chosen(batch, attributes, image_size) for batch in batches]
    images, labels, own = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
    return images, labels, num_classes, own


def _chosen(batch, attributes, image_size):
    """Of a batch of TFDS the images, labels (0 if there are none) and attributes."""
    images, found = batch["image"], {**batch.get(OWN, {}), **batch}
    labels = batch.get("label", np.zeros(len(images), "int32"))
    return squared(images, image_size), labels, {name: found[name] for name in attributes}


def squared(images: np.ndarray, side: int) -> np.ndarray:
    """The middle square of images, at another size.

    Args:
        images: uint8 (N, H, W, C).
        side: S; 0 leaves the images as they are.

    Returns:
        uint8 (N, S, S, C), bilinear, each pixel the average of what it covers.
    """
    from keras import ops

    if not side or images.shape[1:3] == (side, side):
        return images
    options = {"crop_to_aspect_ratio": True, "antialias": True, "data_format": "channels_last"}
    resized = ops.convert_to_numpy(ops.image.resize(images.astype("float32"), (side, side), **options))
    return np.clip(np.round(resized), 0, 255).astype("uint8")


def _check_network(builder):
    """Fail within seconds where there is no network; TFDS itself tries again for minutes."""
    import requests

    for url in list(builder.url_infos)[:1]:
        requests.head(url, timeout=10, allow_redirects=True)
