"""The arrays every metric takes: uint8 images (N, H, W, C) and integer labels (N,), checked and read here."""

import pathlib
import zipfile
from typing import NamedTuple

import numpy as np


class Kind(NamedTuple):
    """What a judge knows: the shape of its images (H, W, C), and the number of their classes."""

    image_shape: tuple[int, ...]
    num_classes: int

    def __str__(self):
        return f"{self.num_classes} classes of {' x '.join(map(str, self.image_shape))}"


DIGITS = Kind((28, 28, 1), 10)
"""MNIST's, which the shipped judges know."""


def check_images(images: np.ndarray, *, minimum: int = 1, name: str = "images", kind: Kind = DIGITS) -> None:
    """Raises an error unless `images` holds enough uint8 images of one shape.

    Args:
        images: The array to check.
        minimum: The smallest number of images that makes sense for the metric.
        name: What the caller calls the array.
        kind: What the images must be.

    Raises:
        ValueError: for another shape or dtype, or for too few images.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != kind.image_shape:
        axis = f"Add a channel axis with `{name}[..., None]`, or resize." if kind.image_shape[-1] == 1 else "Resize."
        shape = ", ".join(map(str, kind.image_shape))
        raise ValueError(f"`{name}` must have shape (N, {shape}). Received: {images.shape}. {axis}")
    if images.dtype != np.uint8:
        raise ValueError(f"`{name}` must be uint8 in 0..255. Received: {_describe(images)}")
    if len(images) < minimum:
        raise ValueError(f"`{name}` must hold at least {minimum} images for this metric. Received: {len(images)}")


def _describe(images: np.ndarray) -> str:
    """Dtype and range of an array that is not uint8, and how to convert it."""
    if images.size and not np.all(np.isfinite(images)):
        return f"{images.dtype} with NaN or infinite values: the generator diverged, see the numerical health table"
    low, high = (images.min(), images.max()) if images.size else (0, 0)
    hint = "(x + 1) * 127.5" if low < 0 else "x * 255" if high <= 1 else "x"
    convert = f"np.clip(np.round({hint}), 0, 255).astype('uint8')"
    return f"{images.dtype} in [{low:.3g}, {high:.3g}]. Convert with `{convert}`"


def check_labels(labels: np.ndarray, images: np.ndarray, *, name: str = "labels", kind: Kind = DIGITS) -> None:
    """Raises an error unless `labels` holds one class per image.

    Args:
        labels: The array to check.
        images: The images they belong to.
        name: What the caller calls the array.
        kind: What the images are.

    Raises:
        ValueError: for missing labels, another shape or dtype, or a value that is no class.
    """
    if labels is None:
        raise ValueError(f"`{name}` are missing: this metric needs the class each image was meant to be")
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of shape ({len(images)},), one for each image. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < kind.num_classes):
        raise ValueError(f"`{name}` must be in 0..{kind.num_classes - 1}. Received: {labels.min()}..{labels.max()}")


def read_images(path: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads images and labels from an `.npz` file, as `sample --out digits.npz` writes it.

    Args:
        path: The file, with the arrays `images` and `labels`.

    Returns:
        `(images, labels)`, unchecked.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, not an `.npz` file, or lacks one of the arrays.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{str(path)!r} is not an .npz file")
    try:
        with np.load(path) as file:
            if not {"images", "labels"} <= set(file.files):
                raise ValueError(f"{str(path)!r} must hold `images` and `labels`. Received: {sorted(file.files)}")
            return file["images"], file["labels"]
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
