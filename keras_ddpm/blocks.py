"""What the U-Net is made of: two embeddings, a residual block and self-attention.

    e_t = MLP(sinusoidal(t)),  e_c = MLP(one_hot(label)), with e_c = 0 for the null label
    ResBlock:  h = conv(act(norm(x)));  h = norm(h) (1 + scale) + shift;  y = shortcut(x) + conv_0(act(h))

scale and shift are a linear function of e_t + e_c (FiLM, arXiv 1709.07871; "adaptive group normalisation" in
arXiv 2105.05233).
"""

import math

import keras
from keras import layers, ops

PACKAGE = "keras_ddpm"


@keras.saving.register_keras_serializable(PACKAGE)
class TimeEmbedding(layers.Layer):
    """Sinusoidal embedding of the time index, then an MLP.

    Args:
        dim: Size of the embedding, even, >= 4.

    Call arguments:
        t: (B,) integer or float time indices.

    Returns:
        (B, dim).

    Reference: Vaswani et al., arXiv 1706.03762, section 3.5.
    """

    def __init__(self, dim, activation="silu", **kwargs):
        super().__init__(**kwargs)
        if dim < 4 or dim % 2:
            raise ValueError(f"`dim` must be even and at least 4. Received: {dim}")
        self.dim, self.activation = dim, activation
        self.hidden = layers.Dense(dim, activation=activation, dtype=self.dtype_policy, name="hidden")
        self.out = layers.Dense(dim, dtype=self.dtype_policy, name="out")

    def build(self, t_shape):
        self.hidden.build((None, self.dim))
        self.out.build((None, self.dim))

    def call(self, t):
        k = ops.arange(self.dim // 2, dtype="float32")
        frequency = ops.exp(-math.log(10_000.0) * k / (self.dim // 2 - 1))
        angle = ops.cast(t, "float32")[:, None] * frequency  # (B, dim / 2)
        waves = ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)  # (B, dim)
        return self.out(self.hidden(ops.cast(waves, self.compute_dtype)))

    def get_config(self):
        return {**super().get_config(), "dim": self.dim, "activation": self.activation}


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

    def build(self, label_shape):
        self.hidden.build((None, self.num_classes))
        self.out.build((None, self.dim))

    def call(self, label):
        one_hot = ops.one_hot(label, self.num_classes, dtype=self.compute_dtype)  # (B, num_classes)
        known = ops.cast(label < self.num_classes, self.compute_dtype)[:, None]  # (B, 1)
        return known * self.out(self.hidden(one_hot))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dim": self.dim,
            "activation": self.activation,
        }


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

    def build(self, x_shape, embedding_shape=None):
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

    def call(self, x, embedding=None, training=None):
        h = self.conv_1(self.act(self.norm_1(x)))  # (B, H, W, width)
        h = self.norm_2(h)
        if self.film:
            scale, shift = ops.split(self.scale_shift(embedding)[:, None, None, :], 2, axis=-1)  # (B, 1, 1, width)
            h = h * (1 + scale) + shift
        h = self.act(h)
        if self.dropout:
            h = self.dropout(h, training=training)
        return self.conv_2(h) + (self.shortcut(x) if self.shortcut else x)

    def compute_output_shape(self, x_shape, embedding_shape=None):
        return (*x_shape[:-1], self.width)

    def get_config(self):
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

    def build(self, x_shape):
        width = x_shape[-1]
        if width % self.heads:
            raise ValueError(f"`heads` must divide the channels. Received: {self.heads} heads, {width} channels")
        self.norm.build(x_shape)
        self.qkv = layers.Dense(3 * width, use_bias=False, dtype=self.dtype_policy, name="qkv")
        self.qkv.build(x_shape)
        self.out = layers.Dense(width, kernel_initializer="zeros", dtype=self.dtype_policy, name="out")
        self.out.build(x_shape)

    def call(self, x):
        _, H, W, C = x.shape
        qkv = ops.reshape(self.qkv(self.norm(x)), (-1, H * W, 3, self.heads, C // self.heads))
        q, k, v = (ops.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))  # (B, heads, HW, C / heads)
        similarity = ops.matmul(q, ops.swapaxes(k, -1, -2)) * (C // self.heads) ** -0.5  # (B, heads, HW, HW)
        h = ops.matmul(ops.softmax(similarity), v)  # (B, heads, HW, C / heads)
        h = ops.reshape(ops.swapaxes(h, 1, 2), (-1, H, W, C))
        return x + self.out(h)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "groups": self.groups}
