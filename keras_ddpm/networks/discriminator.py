"""The discriminator: how much an image looks like a real one of its class."""

import keras
from keras import layers, ops

from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class Discriminator(keras.Model):
    """A plain convolutional network without normalisation, whose features meet class and call in projections.

        D(x, y, t) = a . h(x) + b + h(x) . (e_y + e_t)

    So the score of one image under several classes costs one pass. e_t is of the time t at which the call that drew x
    began: images of each call are compared with real ones, not the mixture of all calls.

    Args:
        image_shape: (H, W, C).
        num_classes: Number of classes.
        num_starts: Number of times at which calls begin; with one there is no e_t.
        widths: Channels at a half, a quarter and an eighth of the image's size.
        dim: Size of h.

    Call arguments:
        x: (B, H, W, C).
        label: int (B,).
        start: int (B,), or one for all, the number of t; 0 by default.

    Returns:
        Scores (B,), any real number.

    Reference: Miyato and Koyama, "cGANs with projection discriminator", arXiv 1802.05637.
    """

    def __init__(
        self, image_shape, num_classes: int, *, num_starts: int = 1, widths=(32, 64, 128), dim: int = 128, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_starts = num_starts
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
        self.embed_start = layers.Embedding(num_starts, dim, "zeros", name="embed_start") if num_starts > 1 else None

    def build(self, *shapes) -> None:
        self.call(ops.zeros((1, *self.image_shape)), ops.zeros((1,), dtype="int32"))  # each layer builds itself
        self.built = True

    def call(self, x: Tensor, label: Tensor, start: Tensor | int = 0) -> Tensor:
        return self.score(self.features(x), label, start)

    def features(self, x) -> Tensor:
        """h(x): (B, H, W, C) -> (B, dim)."""
        for convolution in self.convolutions:
            x = ops.leaky_relu(convolution(x), 0.2)
        return ops.leaky_relu(self.dense(self.flatten(x)), 0.2)

    def score(self, features, label, start=0) -> Tensor:
        """D of images whose features are known: (B, dim), int (B,), int (B,) -> (B,)."""
        embedded = self.embed_label(label)
        if self.embed_start is not None:
            embedded = embedded + self.embed_start(ops.cast(start, "int32"))
        return self.head(features)[:, 0] + ops.sum(features * embedded, axis=-1)

    def get_config(self) -> dict:
        own = {"image_shape": self.image_shape, "num_classes": self.num_classes, "num_starts": self.num_starts}
        return {**super().get_config(), **own, "widths": self.widths, "dim": self.dim}
