"""A classifier: the judge of accuracy, and the features in which distances are measured.

Two architectures for images of any size, both ending in a global feature vector h and a linear layer:

    h = f(x)              # (B, D), the features of every distance here
    p = softmax(W h + b)  # (B, K), K classes

The shipped judge is a `conv3x3` that knows MNIST. `wide5x5` differs in kernel, depth and width: choose a sampler or
tune a model with that one, and report the other one's figures, which played no part in the choice.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from scipy import special

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images
from keras_ddpm.evaluation.judges import folder as judge_folder
from keras_ddpm.saving.weights import read_weights

SHIPPED = pathlib.Path(__file__).parent / "weights"
Classifier = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From uint8 images (N, H, W, C) to probabilities (N, K) and features (N, D)."""


def _conv(x, filters, kernel, *, strides=1):
    """Convolution, batch normalisation, ReLU."""
    x = keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)


def _conv3x3(x):
    """Six 3 x 3 convolutions at full, half and quarter size; the features are the mean over the last map."""
    x = _conv(x, 32, 3)  # (B, H, W, 32)
    x = _conv(x, 48, 3, strides=2)  # (B, H / 2, W / 2, 48)
    x = _conv(x, 64, 3)
    x = _conv(x, 96, 3, strides=2)  # (B, H / 4, W / 4, 96)
    x = _conv(x, 96, 3)
    x = _conv(x, 96, 3)
    return keras.layers.GlobalAveragePooling2D()(x)  # (B, 96)


def _wide5x5(x):
    """Two 5 x 5 convolutions with max pooling and a dense layer: the LeNet family."""
    x = keras.layers.MaxPooling2D()(_conv(x, 32, 5))  # (B, H / 2, W / 2, 32)
    x = keras.layers.MaxPooling2D()(_conv(x, 64, 5))  # (B, H / 4, W / 4, 64)
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))  # (B, 4 H W)
    return keras.layers.Dense(128, activation="relu")(x)  # (B, 128)


ARCHITECTURES = {"conv3x3": _conv3x3, "wide5x5": _wide5x5}


def build_network(arch: str = "conv3x3", kind: Kind = DIGITS) -> keras.Model:
    """Returns an untrained classifier network with two outputs.

    Args:
        arch: A key of `ARCHITECTURES`.
        kind: What it is to know.

    Returns:
        A `keras.Model` from uint8 or float images in [0, 255], (B, H, W, C), to a dict of `logits` (B, K) and
        `features` (B, D).

    Raises:
        ValueError: if `arch` is unknown.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"`arch` must be one of {sorted(ARCHITECTURES)}. Received: {arch!r}")
    image = keras.Input(kind.image_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    features = keras.layers.Identity(dtype="float32", name="features")(ARCHITECTURES[arch](x))
    logits = keras.layers.Dense(kind.num_classes, dtype="float32", name="logits")(features)
    return keras.Model(image, {"logits": logits, "features": features}, name=arch)


class Judge:
    """A trained network as a function from images to probabilities and features.

    Args:
        network: What `build_network` returns, with its weights.
        notes: Where it comes from, see `judges.folder`; None for nothing.
    """

    def __init__(self, network: keras.Model, notes: dict[str, Any] | None = None):
        self.network, self.notes = network, notes or {}
        self.kind = Kind(tuple(network.input.shape[1:]), network.output["logits"].shape[-1])

    def __call__(self, images: np.ndarray, *, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Classifies images.

        Args:
            images: uint8, (N, H, W, C).
            batch_size: Images per call of the network.

        Returns:
            `(probabilities, features)`: float32 (N, K) and float32 (N, D).

        Raises:
            ValueError: if `images` are not as described.
        """
        check_images(images, kind=self.kind)
        batch_size = min(batch_size, 1 << (len(images) - 1).bit_length())  # few different sizes, and little padding
        parts = [self._run(images[i : i + batch_size], batch_size) for i in range(0, len(images), batch_size)]
        logits, features = (np.concatenate(part) for part in zip(*parts, strict=True))
        return special.softmax(logits, axis=1), features

    def _run(self, images, batch_size):
        """One call of the network; a short last batch is padded, so that few shapes are compiled."""
        batch = np.zeros((batch_size, *images.shape[1:]), "float32")
        batch[: len(images)] = images
        out = self.network.predict_on_batch(batch)
        return out["logits"][: len(images)], out["features"][: len(images)]


def load_classifier(folder: str | pathlib.Path = SHIPPED) -> Judge:
    """Loads a judge, by default the shipped one.

    Args:
        folder: What `train_judge` wrote. It is read once.

    Returns:
        A `Judge`.

    Raises:
        FileNotFoundError: if there is no judge.
        ValueError: if a file is damaged.

    Example:
        >>> probabilities, features = load_classifier()(images)
    """
    notes = judge_folder.read_notes(folder)
    return _load(pathlib.Path(folder).resolve(), notes["weights_sha256"])


@functools.lru_cache(maxsize=8)
def _load(folder, weights_sha256):
    """A loaded judge is kept until its weights change."""
    notes = judge_folder.read_notes(folder)
    network = build_network(notes["arch"], judge_folder.kind_of(notes))
    read_weights(network, folder / judge_folder.WEIGHTS)
    return Judge(network, notes)
