"""The discriminator: how much an image looks like a real one of its class."""

import keras
from keras import layers, ops

from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class Discriminator(keras.Model):
    """A plain convolutional network without normalisation, whose features meet the class in a projection.

        D(x, y) = a . h(x) + b + h(x) . e_y

    So the score of one image under several classes costs one pass.

    Args:
        image_shape: (H, W, C).
        num_classes: Number of classes.
        widths: Channels at a half, a quarter and an eighth of the image's size.
        dim: Size of h.

    Call arguments:
        x: (B, H, W, C).
        label: int (B,).

    Returns:
        Scores (B,), any real number.

    Reference: Miyato and Koyama, "cGANs with projection discriminator", arXiv 1802.05637.
    """

    def __init__(self, image_shape, num_classes: int, *, widths=(32, 64, 128), dim: int = 128, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.num_classes, self.widths, self.dim = tuple(image_shape), num_classes, tuple(widths), dim
        first, second, third = widths
        between = (second + third) // 2
        sizes = [(first, 4, 2), (first, 3, 1), (second, 4, 2), (between, 3, 1), (third, 4, 2)]
        self.convolutions = [
            layers.Conv2D(width, size, strides, padding="same", name=f"convolution_{i}")
            for i, (width, size, strides) in enumerate(sizes)
        ]
        self.flatten, self.dense = layers.Flatten(), layers.Dense(dim, name="dense")
        self.head = layers.Dense(1, name="head")
        self.embed_label = layers.Embedding(num_classes, dim, name="embed_label")

    def build(self, *shapes) -> None:
        self.call(ops.zeros((1, *self.image_shape)), ops.zeros((1,), dtype="int32"))  # each layer builds itself
        self.built = True

    def call(self, x: Tensor, label: Tensor) -> Tensor:
        return self.score(self.features(x), label)

    def features(self, x) -> Tensor:
        """h(x): (B, H, W, C) -> (B, dim)."""
        for convolution in self.convolutions:
            x = ops.leaky_relu(convolution(x), 0.2)
        return ops.leaky_relu(self.dense(self.flatten(x)), 0.2)

    def score(self, features, label) -> Tensor:
        """D of images whose features are known: (B, dim), int (B,) -> (B,)."""
        return self.head(features)[:, 0] + ops.sum(features * self.embed_label(label), axis=-1)

    def get_config(self) -> dict:
        own = {"image_shape": self.image_shape, "num_classes": self.num_classes, "widths": self.widths}
        return {**super().get_config(), **own, "dim": self.dim}
