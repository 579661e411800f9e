"""The autoencoder: an image as a few numbers with a spread, and back.

    encoder   x -> mu, log sigma^2       q(z | x) = N(mu, sigma^2)
    decoder   z -> y,                    x = tanh(y)

As a codec it takes the middle of q, shifted and scaled to mean 0 and standard deviation 1 in each channel, so that a
noise schedule for images fits:

    encode(x) = (mu - mean) / deviation        decode(z) = tanh(decoder(deviation z + mean))

mean and deviation are weights that training measures (`training/autoencoder.py`) and no gradient changes.

Reference: Kingma and Welling, arXiv 1312.6114; Rombach et al. (a weak KL, the scale), arXiv 2112.10752, section 3.1.
"""

import keras
from keras import layers, ops

from keras_ddpm.networks.blocks import ResBlock
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor

LOG_VARIANCE = (-30.0, 20.0)


def latent_shape(
    image_shape: tuple[int, int, int], *, latent_channels: int, widths: tuple[int, ...]
) -> tuple[int, int, int]:
    """(h, w, c) of the latents of an autoencoder.

    Raises:
        ValueError: if the sizes do not fit together.
    """
    if latent_channels < 1 or not widths or min(widths) < 1:
        raise ValueError(
            f"`latent_channels` and the widths must be at least 1. Received: {latent_channels}, {tuple(widths)}"
        )
    H, W, _ = image_shape
    shrunk = 2 ** (len(widths) - 1)
    if H % shrunk or W % shrunk:
        raise ValueError(
            f"The image's sides must be multiples of {shrunk}, for {len(widths)} levels. Received: {H} x {W}"
        )
    return H // shrunk, W // shrunk, latent_channels


@keras.saving.register_keras_serializable(PACKAGE)
class Autoencoder(keras.Model):
    """A convolutional KL autoencoder, which is a `codec.Codec`.

    Args:
        image_shape: (H, W, C); H and W are multiples of 2^(levels - 1).
        latent_channels: Channels of the latents.
        widths: Channels of each level; each level has half the resolution of the one before, the last that of the
            latents.
        depth: Residual blocks of each level, in the encoder and in the decoder.
        groups: Groups of the normalisation; must divide every width.

    Call arguments:
        x: (B, H, W, C) in [-1, 1].

    Returns:
        The reconstruction, decode(encode(x)), float32 (B, H, W, C) in [-1, 1].

    Raises:
        ValueError: if the sizes do not fit together.

    Example:
        >>> Autoencoder((28, 28, 1)).encode(np.zeros((2, 28, 28, 1))).shape
        (2, 7, 7, 4)
    """

    def __init__(self, image_shape, *, latent_channels=4, widths=(16, 32, 64), depth=1, groups=8, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.image_shape = tuple(image_shape)
        self.latent_shape = latent_shape(self.image_shape, latent_channels=latent_channels, widths=tuple(widths))
        if depth < 1 or any(width % groups for width in widths):
            raise ValueError(
                f"`depth` must be at least 1, and `groups`={groups} must divide every width. "
                f"Received: {depth}, {tuple(widths)}"
            )
        self.settings = {
            "image_shape": self.image_shape,
            "latent_channels": latent_channels,
            "widths": tuple(widths),
            "depth": depth,
            "groups": groups,
        }

        def conv(width, name, **options):
            return layers.Conv2D(width, 3, padding="same", name=name, **{"dtype": self.dtype_policy, **options})

        def level(i, side):
            names = [f"{side}_{i}_{j}" for j in range(depth)]
            return [ResBlock(widths[i], groups, film=False, name=name, dtype=self.dtype_policy) for name in names]

        def norm(name):
            return layers.GroupNormalization(groups, epsilon=1e-5, dtype=self.dtype_policy, name=name)

        last = len(widths) - 1
        self.stem = conv(widths[0], "stem")
        self.down = [level(i, "down") for i in range(last + 1)]
        self.shrink = [conv(widths[i + 1], f"shrink_{i}", strides=2) for i in range(last)]
        self.norm_latent = norm("norm_latent")
        self.moments = conv(2 * latent_channels, "moments", dtype="float32")
        self.widen = conv(widths[-1], "widen")
        self.up = [level(i, "up") for i in range(last + 1)]
        self.grow = [conv(widths[i], f"grow_{i}") for i in range(last)]
        self.norm_out = norm("norm_out")
        self.head = conv(self.image_shape[-1], "head", dtype="float32")
        fixed = {"shape": (latent_channels,), "dtype": "float32", "trainable": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **fixed)
        self.deviation = self.add_weight(name="deviation", initializer="ones", **fixed)

    def build(self, *shapes) -> None:
        self.call(ops.zeros((1, *self.image_shape)))  # each layer builds itself
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """Images -> latents of mean 0 and standard deviation 1: (B, H, W, C) -> float32 (B, h, w, c)."""
        return (self.posterior(x)[0] - self.mean) / self.deviation

    def decode(self, z: Tensor) -> Tensor:
        """Latents -> images: (B, h, w, c) -> float32 (B, H, W, C) in [-1, 1]."""
        return ops.tanh(self.decoder(z * self.deviation + self.mean))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 of images: (B, H, W, C) -> float32 (B, h, w, c) each."""
        h = self.stem(ops.cast(x, self.compute_dtype))
        for i, blocks in enumerate(self.down):
            for block in blocks:
                h = block(h)
            h = self.shrink[i](h) if i < len(self.shrink) else h
        mu, log_variance = ops.split(self.moments(ops.silu(self.norm_latent(h))), 2, axis=-1)
        return mu, ops.clip(log_variance, *LOG_VARIANCE)

    def decoder(self, z: Tensor) -> Tensor:
        """y, of which tanh is the image: (B, h, w, c), as `posterior` has them -> float32 (B, H, W, C)."""
        h = self.widen(ops.cast(z, self.compute_dtype))
        for i in reversed(range(len(self.up))):
            for block in self.up[i]:
                h = block(h)
            h = self.grow[i - 1](ops.repeat(ops.repeat(h, 2, axis=1), 2, axis=2)) if i else h
        return self.head(ops.silu(self.norm_out(h)))

    def get_config(self) -> dict:
        return {**super().get_config(), **self.settings}

    def get_build_config(self) -> dict:
        return {"image_shape": self.image_shape}  # Keras asks for it, though building needs none

    def build_from_config(self, config: dict) -> None:
        self.build()

    @classmethod
    def from_preset(cls, preset: str) -> "Autoencoder":
        """The autoencoder of a run that trained one, or of a latent model.

        Args:
            preset: A folder written by train.py.

        Raises:
            ValueError: for a folder without an autoencoder.
        """
        from keras_ddpm.presets import load_autoencoder

        return load_autoencoder(preset)
