"""Embeddings: the time and each condition as a vector.

e_t = MLP(sinusoidal(t)),  e_label = MLP(one_hot(label)),  e_scalar = MLP(sinusoidal(value));  zero for a null
"""

import math

import keras
from keras import layers, ops

from keras_ddpm.conditions import Label, Scalar
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


def sinusoidal(position: Tensor, dim) -> Tensor:
    """Sines and cosines of a position at dim / 2 wavelengths, from 2 pi to 2 pi 10,000.

    Args:
        position: float32 (B,).
        dim: Even, >= 4.

    Returns:
        float32 (B, dim).

    Reference: Vaswani et al., arXiv 1706.03762, section 3.5.
    """
    k = ops.arange(dim // 2, dtype="float32")
    frequency = ops.exp(-math.log(10_000.0) * k / (dim // 2 - 1))
    angle = position[:, None] * frequency  # (B, dim / 2)
    return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)


@keras.saving.register_keras_serializable(PACKAGE)
class TimeEmbedding(layers.Layer):
    """Sinusoidal embedding of the time, then an MLP.

    What is embedded is the paper's time index: of t = (i + 1) / levels, i.

    Args:
        dim: Size of the embedding, even, >= 4.
        levels: Number of time indices in 0 < t <= 1.

    Call arguments:
        t: (B,) float, in (0, 1].

    Returns:
        (B, dim).
    """

    def __init__(self, dim, activation="silu", *, levels=1000, **kwargs):
        super().__init__(autocast=False, **kwargs)  # t would be rounded to the layer's precision
        if dim < 4 or dim % 2:
            raise ValueError(f"`dim` must be even and at least 4. Received: {dim}")
        self.dim, self.activation, self.levels = dim, activation, levels
        self.hidden = layers.Dense(dim, activation=activation, dtype=self.dtype_policy, name="hidden")
        self.out = layers.Dense(dim, dtype=self.dtype_policy, name="out")

    def build(self, t_shape) -> None:
        self.hidden.build((None, self.dim))
        self.out.build((None, self.dim))

    def call(self, t: Tensor) -> Tensor:
        waves = sinusoidal(ops.cast(t, "float32") * self.levels - 1.0, self.dim)  # (B, dim)
        return self.out(self.hidden(ops.cast(waves, self.compute_dtype)))

    def get_config(self) -> dict:
        config = {"dim": self.dim, "activation": self.activation, "levels": self.levels}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(PACKAGE)
class LabelEmbedding(layers.Layer):
    """One-hot class, then an MLP; zero for the null label, which is `num_classes`.

    Args:
        num_classes: Number of classes, >= 1.
        dim: Size of the embedding.

    Call arguments:
        label: (B,) integers in 0 ... num_classes; `num_classes` means "no class".

    Returns:
        (B, dim).
    """

    def __init__(self, num_classes, dim, activation="silu", **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.dim, self.activation = num_classes, dim, activation
        self.hidden = layers.Dense(dim, activation=activation, dtype=self.dtype_policy, name="hidden")
        self.out = layers.Dense(dim, dtype=self.dtype_policy, name="out")

    def build(self, label_shape) -> None:
        self.hidden.build((None, self.num_classes))
        self.out.build((None, self.dim))

    def call(self, label: Tensor) -> Tensor:
        one_hot = ops.one_hot(label, self.num_classes, dtype=self.compute_dtype)  # (B, num_classes)
        known = ops.cast(label < self.num_classes, self.compute_dtype)[:, None]  # (B, 1)
        return known * self.out(self.hidden(one_hot))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dim": self.dim,
            "activation": self.activation,
        }


@keras.saving.register_keras_serializable(PACKAGE)
class ScalarEmbedding(layers.Layer):
    """Sinusoidal embedding of a number's place in its range, then an MLP; zero for the null, which is NaN.

    Args:
        low, high: The range.
        dim: Size of the embedding, even, >= 4.

    Call arguments:
        value: (B,) float in low ... high, or NaN for "not given".

    Returns:
        (B, dim).
    """

    def __init__(self, low, high, dim, activation="silu", **kwargs):
        super().__init__(autocast=False, **kwargs)  # the value would be rounded to the layer's precision
        self.low, self.high, self.dim, self.activation = low, high, dim, activation
        self.hidden = layers.Dense(dim, activation=activation, dtype=self.dtype_policy, name="hidden")
        self.out = layers.Dense(dim, dtype=self.dtype_policy, name="out")

    def build(self, value_shape) -> None:
        self.hidden.build((None, self.dim))
        self.out.build((None, self.dim))

    def call(self, value: Tensor) -> Tensor:
        value = ops.cast(value, "float32")
        missing = ops.isnan(value)  # (B,)
        # tf2onnx turns a `where` into 0 * NaN, unless its condition is `isnan` itself
        place = (ops.where(missing, self.low, value) - self.low) / (self.high - self.low)  # (B,) in [0, 1]
        waves = ops.cast(sinusoidal(1000.0 * place, self.dim), self.compute_dtype)  # (B, dim)
        known = ops.cast(ops.logical_not(missing), self.compute_dtype)[:, None]  # (B, 1)
        return known * self.out(self.hidden(waves))

    def get_config(self) -> dict:
        config = {"low": self.low, "high": self.high, "dim": self.dim, "activation": self.activation}
        return {**super().get_config(), **config}


EMBEDDINGS = {Label: LabelEmbedding, Scalar: ScalarEmbedding}
"""The layer of each kind of condition; its arguments are the kind's own, `dim` and `activation`."""
