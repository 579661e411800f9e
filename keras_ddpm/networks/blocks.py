"""What the U-Net is made of: a residual block and self-attention.

    ResBlock:  h = conv(act(norm(x)));  h = norm(h) (1 + scale) + shift;  y = shortcut(x) + conv_0(act(h))

scale and shift are a linear function of the embeddings (FiLM, arXiv 1709.07871; "adaptive group normalisation" in
arXiv 2105.05233).
"""

import keras
from keras import layers, ops

from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class ResBlock(layers.Layer):
    """Two normalised convolutions and a shortcut; scaled and shifted by an embedding if one is given.

    h = conv(act(norm(x)));  h = norm(h) (1 + scale) + shift;  y = shortcut(x) + conv_0(act(h))

    The second convolution starts at zero, so that the block starts as its shortcut.

    Args:
        width: Channels of the output, a multiple of `groups`.
        groups: Groups of the normalisation.
        film: Whether the block is called with an embedding.

    Call arguments:
        x: (B, H, W, C).
        embedding: (B, D), or None without `film`.

    Returns:
        (B, H, W, width).
    """

    def __init__(self, width, groups=8, activation="silu", film=True, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.width, self.groups, self.film, self.dropout_rate = width, groups, film, dropout
        self.activation = activation
        self.act = keras.activations.get(activation)
        self.norm_1 = layers.GroupNormalization(groups, epsilon=1e-5, dtype=self.dtype_policy, name="norm_1")
        self.conv_1 = layers.Conv2D(width, 3, padding="same", dtype=self.dtype_policy, name="conv_1")
        self.norm_2 = layers.GroupNormalization(
            groups, epsilon=1e-5, scale=not film, center=not film, dtype=self.dtype_policy, name="norm_2"
        )
        self.scale_shift = (
            layers.Dense(2 * width, kernel_initializer="zeros", dtype=self.dtype_policy, name="scale_shift")
            if film
            else None
        )
        self.dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout") if dropout else None
        self.conv_2 = layers.Conv2D(
            width, 3, padding="same", kernel_initializer="zeros", dtype=self.dtype_policy, name="conv_2"
        )
        self.shortcut = None

    def build(self, x_shape, embedding_shape=None) -> None:
        out_shape = (*x_shape[:-1], self.width)
        self.norm_1.build(x_shape)
        self.conv_1.build(x_shape)
        self.norm_2.build(out_shape)
        self.conv_2.build(out_shape)
        if self.film:
            self.scale_shift.build(embedding_shape)
        if x_shape[-1] != self.width:
            self.shortcut = layers.Conv2D(self.width, 1, dtype=self.dtype_policy, name="shortcut")
            self.shortcut.build(x_shape)

    def call(self, x: Tensor, embedding: Tensor = None, training: bool | None = None) -> Tensor:
        h = self.conv_1(self.act(self.norm_1(x)))  # (B, H, W, width)
        h = self.norm_2(h)
        if self.film:
            scale, shift = ops.split(self.scale_shift(embedding)[:, None, None, :], 2, axis=-1)  # (B, 1, 1, width)
            h = h * (1 + scale) + shift
        h = self.act(h)
        if self.dropout:
            h = self.dropout(h, training=training)
        return self.conv_2(h) + (self.shortcut(x) if self.shortcut else x)

    def compute_output_shape(self, x_shape, embedding_shape=None) -> tuple:
        return (*x_shape[:-1], self.width)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "width": self.width,
            "groups": self.groups,
            "activation": self.activation,
            "film": self.film,
            "dropout": self.dropout_rate,
        }


@keras.saving.register_keras_serializable(PACKAGE)
class SelfAttention(layers.Layer):
    """Multi-head self-attention over all pixels, with a shortcut.

    Args:
        heads: Number of heads; must divide the channels.

    Call arguments:
        x: (B, H, W, C).

    Returns:
        (B, H, W, C).
    """

    def __init__(self, heads=4, groups=8, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.groups = heads, groups
        self.norm = layers.GroupNormalization(groups, epsilon=1e-5, dtype=self.dtype_policy, name="norm")

    def build(self, x_shape) -> None:
        width = x_shape[-1]
        if width % self.heads:
            raise ValueError(f"`heads` must divide the channels. Received: {self.heads} heads, {width} channels")
        self.norm.build(x_shape)
        self.qkv = layers.Dense(3 * width, use_bias=False, dtype=self.dtype_policy, name="qkv")
        self.qkv.build(x_shape)
        self.out = layers.Dense(width, kernel_initializer="zeros", dtype=self.dtype_policy, name="out")
        self.out.build(x_shape)

    def call(self, x: Tensor) -> Tensor:
        _, H, W, C = x.shape
        qkv = ops.reshape(self.qkv(self.norm(x)), (-1, H * W, 3, self.heads, C // self.heads))
        q, k, v = (ops.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))  # (B, heads, HW, C / heads)
        similarity = ops.matmul(q, ops.swapaxes(k, -1, -2)) * (C // self.heads) ** -0.5  # (B, heads, HW, HW)
        h = ops.matmul(ops.softmax(similarity), v)  # (B, heads, HW, C / heads)
        h = ops.reshape(ops.swapaxes(h, 1, 2), (-1, H, W, C))
        return x + self.out(h)

    def get_config(self) -> dict:
        return {**super().get_config(), "heads": self.heads, "groups": self.groups}
