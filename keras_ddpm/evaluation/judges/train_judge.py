"""A judge for a data set: data -> classifier -> accuracy on images it has not seen -> folder.

The classifier learns from the training split without its last images, which are held out. They and the test split are
looked at once, at the end, and choose nothing.
"""

import math
import pathlib
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from keras_ddpm import data
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.evaluation.judges import folder
from keras_ddpm.evaluation.judges.classifier import ARCHITECTURES, Judge, load_classifier
from keras_ddpm.evaluation.judges.train_classifier import BATCH, train_classifier

SMALLEST, LARGEST = 8, 64
EPOCHS, STEPS = 10, 2_000
HELD_OUT = 5_000


def train_judge(
    dataset: str,
    out: str | pathlib.Path,
    *,
    arch: str = "conv3x3",
    epochs: int | None = None,
    train_images: int = 0,
    validation_images: int | None = None,
    image_size: int = 0,
    seed: int = 0,
    verbose: int = 0,
) -> Judge:
    """Train a judge for a data set, by which `evaluate(..., judge=out)` measures.

    Args:
        dataset: "digits_8x8", "colour_mnist", "canvas_mnist", a TFDS name, or the path of an `.npz` file. Images of
            8 x 8 to 64 x 64, grey or in colour.
        out: New or empty folder to write. It is written at the end, complete or not at all.
        arch: A key of `classifier.ARCHITECTURES`.
        epochs: Passes over the training images. None: 10, or as many more as make 2,000 steps.
        train_images: Images of the training split to learn from, from its beginning; 0 for all that are not held out.
        validation_images: Images held out from the end of the training split. None: a tenth, at most 5,000; 0 for none.
        image_size: Side to which the middle square of each image is resized, as in training; 0 leaves it as it is.
        seed: Seed of the weights, the order and the distortions.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `Judge`, as it was written.

    Raises:
        ValueError: before any work, for a data set, an architecture or a number that cannot be used.
        OSError: if the data is not at hand or `out` cannot be written.

    Example:
        >>> judge = train_judge("digits_8x8", "judges/digits_8x8")
        >>> judge.notes["held_out_accuracy"]
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"`arch` must be one of {sorted(ARCHITECTURES)}. Received: {arch!r}")
    if epochs is not None and epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: {epochs}")
    if train_images < 0:
        raise ValueError(f"`train_images` must be at least 0. Received: {train_images}")
    if image_size < 0:
        raise ValueError(f"`image_size` must be at least 0. Received: {image_size}")
    folder.check_new(out)
    train, test = (data.load(dataset, split, image_size=image_size) for split in ("train", "test"))
    kind = _kind(dataset, train, test)
    rest, held_out = _hold_out(train, validation_images)
    rest = rest.first(train_images)
    batch_size = min(BATCH, len(rest.images))
    epochs = epochs or max(EPOCHS, math.ceil(STEPS / (len(rest.images) // batch_size)))
    settings: dict[str, Any] = {"arch": arch, "epochs": epochs, "seed": seed}
    watched = None if held_out is None else held_out[:2]
    judge = train_classifier(*rest[:2], **settings, batch_size=batch_size, verbose=verbose, kind=kind, held_out=watched)
    backend = keras.backend.backend()
    count = 0 if held_out is None else len(held_out.images)
    flags = f"--arch {arch} --epochs {epochs} --validation-images {count} --seed {seed}"
    flags += f" --train-images {train_images}" if train_images else ""
    flags += f" --image-size {image_size}" if image_size else ""
    notes = {
        "command": f"python -m keras_ddpm judge --dataset {dataset} {flags}",
        **settings,
        "dataset": str(dataset),
        "data_sha256": train.fingerprint(),
        "image_size": image_size,
        "image_shape": list(kind.image_shape),
        "num_classes": kind.num_classes,
        "images": len(rest.images),
        "held_out_images": count,
        "held_out_accuracy": None if held_out is None else _accuracy(judge, held_out),
        "test_accuracy": _accuracy(judge, test),
        "parameters": judge.network.count_params(),
        "keras": keras.__version__,
        backend: version(backend),
        "numpy": np.__version__,
    }
    folder.write(out, judge.network, notes)
    return load_classifier(out)


def _kind(dataset, train, test) -> Kind:
    """What the judge is to know.

    Raises:
        ValueError: if the images are too small or too large, or there is nothing to tell apart.
    """
    H, W, C = train.image_shape
    if not (SMALLEST <= H <= LARGEST and SMALLEST <= W <= LARGEST and C in (1, 3)):
        raise ValueError(
            f"A judge's images must be {SMALLEST} x {SMALLEST} to {LARGEST} x {LARGEST}, grey or in colour. "
            f"Received from {dataset!r}: {train.image_shape}"
        )
    if test.image_shape != train.image_shape:
        raise ValueError(
            f"Test images must be {train.image_shape}, as the training images. Received: {test.image_shape}"
        )
    if train.num_classes < 2:
        raise ValueError(f"A judge tells at least 2 classes apart. Received from {dataset!r}: {train.num_classes}")
    return Kind((H, W, C), train.num_classes)


def _hold_out(train, count):
    """The images to learn from, and those to watch: None for 0."""
    count = min(HELD_OUT, len(train.images) // 10) if count is None else count
    return (train, None) if count == 0 else train.hold_out(count)


def _accuracy(judge, part):
    return round(float(np.mean(judge(part.images)[0].argmax(axis=1) == part.labels)), 4)
