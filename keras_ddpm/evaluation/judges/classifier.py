"""A digit classifier: the judge of accuracy, and the features in which distances are measured.

Two architectures, both for uint8 images (N, 28, 28, 1), both ending in a global feature vector h and a linear layer:

    h = f(x)            # (B, D), the features of every distance here
    p = softmax(W h + b)  # (B, 10)

The shipped weights are those of `conv3x3`. `wide5x5` differs in kernel, depth and width: choose a sampler or tune a
model with that one, and report the shipped one's figures, which played no part in the choice.
"""

import functools
import pathlib
from collections.abc import Callable

import keras
import numpy as np
from scipy import special

from keras_ddpm.evaluation.arrays import IMAGE_SHAPE, NUM_CLASSES, check_images

SHIPPED = pathlib.Path(__file__).parent / "weights" / "classifier.weights.h5"
Classifier = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From uint8 images (N, 28, 28, 1) to probabilities (N, 10) and features (N, D)."""


def _conv(x, filters, kernel, *, strides=1):
    """Convolution, batch normalisation, ReLU."""
    x = keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)


def _conv3x3(x):
    """Six 3 x 3 convolutions at 28, 14 and 7 pixels; the features are the mean over the last map."""
    x = _conv(x, 32, 3)  # (B, 28, 28, 32)
    x = _conv(x, 48, 3, strides=2)  # (B, 14, 14, 48)
    x = _conv(x, 64, 3)
    x = _conv(x, 96, 3, strides=2)  # (B, 7, 7, 96)
    x = _conv(x, 96, 3)
    x = _conv(x, 96, 3)
    return keras.layers.GlobalAveragePooling2D()(x)  # (B, 96)


def _wide5x5(x):
    """Two 5 x 5 convolutions with max pooling and a dense layer: the LeNet family."""
    x = keras.layers.MaxPooling2D()(_conv(x, 32, 5))  # (B, 14, 14, 32)
    x = keras.layers.MaxPooling2D()(_conv(x, 64, 5))  # (B, 7, 7, 64)
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))  # (B, 3136)
    return keras.layers.Dense(128, activation="relu")(x)  # (B, 128)


ARCHITECTURES = {"conv3x3": _conv3x3, "wide5x5": _wide5x5}


def build_network(arch: str = "conv3x3") -> keras.Model:
    """Returns an untrained classifier network with two outputs.

    Args:
        arch: A key of `ARCHITECTURES`.

    Returns:
        A `keras.Model` from uint8 or float images in [0, 255], (B, 28, 28, 1), to a dict of `logits` (B, 10) and
        `features` (B, D).

    Raises:
        ValueError: if `arch` is unknown.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"`arch` must be one of {sorted(ARCHITECTURES)}. Received: {arch!r}")
    image = keras.Input(IMAGE_SHAPE)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    features = keras.layers.Identity(dtype="float32", name="features")(ARCHITECTURES[arch](x))
    logits = keras.layers.Dense(NUM_CLASSES, dtype="float32", name="logits")(features)
    return keras.Model(image, {"logits": logits, "features": features}, name=arch)


class DigitClassifier:
    """A trained network as a function from images to probabilities and features.

    Args:
        network: What `build_network` returns, with its weights.
    """

    def __init__(self, network: keras.Model):
        self.network = network

    def __call__(self, images: np.ndarray, *, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Classifies images.

        Args:
            images: uint8, (N, 28, 28, 1).
            batch_size: Images per call of the network.

        Returns:
            `(probabilities, features)`: float32 (N, 10) and float32 (N, D).

        Raises:
            ValueError: if `images` are not as described.
        """
        check_images(images)
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


@functools.cache
def load_classifier(weights: str | pathlib.Path = SHIPPED, *, arch: str = "conv3x3") -> DigitClassifier:
    """Loads a classifier from a weights file, by default the shipped one.

    Args:
        weights: Path of a `.weights.h5` file that `train_classifier` wrote.
        arch: The architecture it was trained with.

    Returns:
        A `DigitClassifier`.

    Raises:
        FileNotFoundError: if there is no such file.

    Example:
        >>> probabilities, features = load_classifier()(images)
    """
    if not pathlib.Path(weights).exists():
        raise FileNotFoundError(
            f"No classifier weights at {weights}. Train them with "
            f"`python -m keras_ddpm.evaluation.judges.train_classifier --arch {arch} --out {weights}`."
        )
    network = build_network(arch)
    network.load_weights(weights)
    return DigitClassifier(network)
