"""The network: a U-Net that is told the time and the condition, which is usually a class.

    x_t -> stem -> [level 0] -> shrink -> [level 1] ... [bottleneck] ... grow -> [level 1] -> grow -> [level 0] -> head
                       \\_______________________ concatenated skips _____________________________/

e_t is the embedding of the time and e_c the sum of the embeddings of the conditions. `conditioning` says where they
enter: by FiLM in every residual block (`blocks.py`), or added to the bottleneck's features, the smallest:

    "film"        e_t + e_c in every block
    "bottleneck"  e_t + e_c at the bottleneck alone
    "film_time"   e_t in every block, e_c at the bottleneck alone
    "film_label"  e_c in every block, no e_t anywhere

Reference: Ronneberger et al., arXiv 1505.04597; Ho et al., arXiv 2006.11239, appendix B.
"""

import dataclasses
from collections.abc import Mapping

import keras
from keras import layers, ops

from keras_ddpm.conditions import Condition, Label, from_values, to_values
from keras_ddpm.networks.blocks import ResBlock, SelfAttention
from keras_ddpm.networks.embeddings import EMBEDDINGS, TimeEmbedding
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor

CONDITIONING = {"film": ("tc", ""), "bottleneck": ("", "tc"), "film_time": ("t", "c"), "film_label": ("c", "")}
"""Which embeddings enter the blocks, and which the bottleneck."""


@keras.saving.register_keras_serializable(PACKAGE)
class UNet(keras.Model):
    """Predicts y (see `Diffusion`) from a noisy image, its time and its condition.

    Args:
        image_shape: (H, W, C) of the image; any sizes, odd ones too.
        conditions: dict of name -> `Label` or `Scalar`, at least one.
        widths: Channels of each level. The last level is the bottleneck; each level has half the resolution of the
            one before, rounded up.
        depths: Residual blocks of each level, on each side (the bottleneck has one side).
        attention: For each level, whether self-attention follows its first block, on each side.
        patch: The stem folds patch x patch pixels into channels (space to depth), and the head unfolds them.
        embed_dim: Size of the embeddings.
        levels: T of the paper's time index, which is embedded: t in (0, 1] is embedded as t T - 1.
        conditioning: One of `CONDITIONING`. Where the bottleneck is added to, the last width must equal `embed_dim`.
        activation: Name of a Keras activation.
        groups: Groups of the normalisation; must divide every width.
        heads: Attention heads.
        dropout: Dropout rate in the residual blocks.

    Call arguments:
        x_t: (B, H, W, C) float.
        t: (B,) float, in (0, 1].
        condition: dict of (B,), an entry for each condition; its null where it is not given.

    Returns:
        (B, H, W, C) float32.

    Raises:
        ValueError: if the sizes do not fit together.

    Example:
        >>> network = UNet((28, 28, 1), {"label": Label(10)})
        >>> network(np.zeros((2, 28, 28, 1)), np.array([0.1, 1.0]), {"label": np.array([7, 10])}).shape
        (2, 28, 28, 1)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        conditions: dict[str, Condition],
        *,
        widths=(64, 128),
        depths=(2, 3),
        attention=(False, True),
        patch=2,
        embed_dim=128,
        levels=1000,
        conditioning="film",
        activation="silu",
        groups=8,
        heads=4,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # t would be rounded to the network's precision
        self.conditions = from_values(conditions)
        self.settings = {
            "image_shape": tuple(image_shape),
            "conditions": to_values(self.conditions),
            "widths": tuple(widths),
            "depths": tuple(depths),
            "attention": tuple(attention),
            "patch": patch,
            "embed_dim": embed_dim,
            "levels": levels,
            "conditioning": conditioning,
            "activation": activation,
            "groups": groups,
            "heads": heads,
            "dropout": dropout,
        }
        _check(**self.settings)
        self.image_shape, self.patch = tuple(image_shape), patch
        self.in_blocks, self.at_bottleneck = CONDITIONING[conditioning]
        self.embed_time = (
            TimeEmbedding(embed_dim, activation, levels=levels, dtype=self.dtype_policy, name="embed_time")
            if "t" in self.in_blocks + self.at_bottleneck
            else None
        )
        for name, condition in self.conditions.items():  # attributes, since their names are those in a weights file
            kind, arguments = EMBEDDINGS[type(condition)], dataclasses.asdict(condition)
            arguments |= {"dim": embed_dim, "activation": activation, "dtype": self.dtype_policy}
            setattr(self, f"embed_{name}", kind(**arguments, name=f"embed_{name}"))
        self.act = keras.activations.get(activation)
        self.stem = layers.Conv2D(
            widths[0], patch + 2, strides=patch, padding="same", dtype=self.dtype_policy, name="stem"
        )

        def level(i, side):
            blocks = []
            for j in range(depths[i]):
                name = f"{side}_{i}_{j}"
                film = bool(self.in_blocks)
                block = ResBlock(widths[i], groups, activation, film, dropout, name=name, dtype=self.dtype_policy)
                attend = (
                    SelfAttention(heads, groups, name=f"{name}_attention", dtype=self.dtype_policy)
                    if attention[i] and j == 0
                    else None
                )
                blocks.append((block, attend))
            return blocks

        last = len(widths) - 1
        self.down = [level(i, "down") for i in range(last)]
        self.shrink = [
            layers.Conv2D(widths[i + 1], 3, strides=2, padding="same", dtype=self.dtype_policy, name=f"shrink_{i}")
            for i in range(last)
        ]
        self.bottleneck = level(last, "bottleneck")
        self.up = [level(i, "up") for i in range(last)]
        self.grow = [
            layers.Conv2D(widths[i], 3, padding="same", dtype=self.dtype_policy, name=f"grow_{i}") for i in range(last)
        ]
        self.norm_out = layers.GroupNormalization(groups, epsilon=1e-5, dtype=self.dtype_policy, name="norm_out")
        channels = image_shape[-1] * patch**2
        self.head = layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros", dtype="float32", name="head")

    @property
    def num_classes(self) -> int | None:
        """Number of classes, if there is a label."""
        label = self.conditions.get("label")
        return label.num_classes if isinstance(label, Label) else None

    def build(self, *shapes) -> None:
        condition = {name: ops.zeros((1,), dtype=c.dtype) for name, c in self.conditions.items()}
        self.call(ops.zeros((1, *self.image_shape)), ops.ones((1,)), condition)  # each layer builds itself
        self.built = True

    def call(self, x_t: Tensor, t: Tensor, condition: Mapping[str, Tensor], training: bool | None = None) -> Tensor:
        h, skips, e = self._down(x_t, t, condition, training)
        for blocks, grow in zip(reversed(self.up), reversed(self.grow)):
            H, W = skips[-1].shape[1:3]
            h = ops.repeat(ops.repeat(h, 2, axis=1), 2, axis=2)[:, :H, :W, :]
            h = grow(h)
            for block in blocks:
                h = self.block(block, ops.concatenate([h, skips.pop()], axis=-1), e, training)
        h = self.head(self.act(self.norm_out(h)))  # (B, H / patch, W / patch, C patch^2)
        return self.unfold(h)

    def features(self, x_t: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """What the bottleneck makes of an image: (B, h, w, widths[-1]), of which each level has halved h and w."""
        return self._down(x_t, t, condition, None)[0]

    def _down(self, x_t, t, condition, training):
        """The bottleneck's features, the skips, and the embedding that enters the blocks."""
        if set(condition) != set(self.conditions):
            raise ValueError(f"`condition` must hold {sorted(self.conditions)}. Received: {sorted(condition)}")
        embedded = [getattr(self, f"embed_{name}")(condition[name]) for name in self.conditions]  # (B, D) each
        embeddings = {"c": sum(embedded[1:], embedded[0])}
        if self.embed_time:
            embeddings["t"] = self.embed_time(t)
        e = sum(embeddings[name] for name in self.in_blocks) if self.in_blocks else None
        h = self.stem(ops.cast(x_t, self.compute_dtype))  # (B, H / patch, W / patch, widths[0])
        skips = []
        for blocks, shrink in zip(self.down, self.shrink):
            for block in blocks:
                h = self.block(block, h, e, training)
                skips.append(h)
            h = shrink(h)
        for name in self.at_bottleneck:
            h = h + embeddings[name][:, None, None, :]
        for block in self.bottleneck:
            h = self.block(block, h, e, training)
        return h, skips, e

    def block(self, block_and_attention, h: Tensor, e: Tensor, training: bool | None) -> Tensor:
        block, attend = block_and_attention
        h = block(h, e, training=training)
        return attend(h) if attend else h

    def unfold(self, h: Tensor) -> Tensor:
        """Depth to space: (B, h, w, C p^2) -> (B, H, W, C), cut to the image's size."""
        H, W, C = self.image_shape
        p, (_, rows, columns, _) = self.patch, h.shape
        h = ops.reshape(h, (-1, rows, columns, p, p, C))
        h = ops.reshape(ops.transpose(h, (0, 1, 3, 2, 4, 5)), (-1, rows * p, columns * p, C))
        return h[:, :H, :W, :]

    def get_config(self) -> dict:
        return {**super().get_config(), **self.settings}

    def get_build_config(self) -> dict:
        return {"image_shape": self.image_shape}  # Keras asks for it, though building needs none

    def build_from_config(self, config: dict) -> None:
        self.build()

    @classmethod
    def from_preset(cls, preset: str) -> "UNet":
        """The network of a preset, with its weights.

        Args:
            preset: Name of a shipped preset, or a folder written by train.py.

        Raises:
            ValueError: for an unknown preset, or weights of another architecture.
        """
        from keras_ddpm.presets import load_network

        return load_network(preset)


def _check(*, image_shape, conditions, widths, depths, attention, embed_dim, conditioning, groups, patch, **_):
    if not len(widths) == len(depths) == len(attention) >= 1:
        raise ValueError(
            "`widths`, `depths` and `attention` must have one entry for each level. "
            f"Received: {widths}, {depths}, {attention}"
        )
    if min(*widths, *depths) < 1:
        raise ValueError(f"`widths` and `depths` must be at least 1. Received: {widths}, {depths}")
    if conditioning not in CONDITIONING:
        raise ValueError(f"`conditioning` must be one of {sorted(CONDITIONING)}. Received: {conditioning!r}")
    if CONDITIONING[conditioning][1] and widths[-1] != embed_dim:
        raise ValueError(
            f"With `conditioning` {conditioning!r} the last width must be `embed_dim`={embed_dim}. Received: {widths}"
        )
    if any(width % groups for width in widths):
        raise ValueError(f"`groups`={groups} must divide every width. Received: {widths}")
    if len(image_shape) != 3 or min(image_shape) < 1 or patch < 1:
        raise ValueError(f"`image_shape` must be (H, W, C), `patch` at least 1. Received: {image_shape}, {patch}")
    if not conditions:
        raise ValueError("`conditions` must have at least one entry. Received: none")
