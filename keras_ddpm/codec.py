"""Codec: image <-> what is diffused.

    z = encode(x),    z_t = alpha_t z + sigma_t eps,    x = decode(z)

The identity, or an autoencoder (`networks/autoencoder.py`), whose latents have fewer numbers than the image: latent
diffusion. Whoever trains or draws has a codec, and never asks which.

Reference: Rombach et al., "High-resolution image synthesis with latent diffusion models", arXiv 2112.10752.
"""

import dataclasses
from typing import Any, Protocol

import keras

from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor

Shape = tuple[int, int, int]


class Codec(Protocol):
    """Two functions of float32 tensors: images (B, H, W, C) in [-1, 1] and latents (B, h, w, c) of about unit size."""

    @property
    def image_shape(self) -> Shape:
        """(H, W, C)."""

    @property
    def latent_shape(self) -> Shape:
        """(h, w, c)."""

    def encode(self, x: Tensor) -> Tensor:
        """Images -> latents."""

    def decode(self, z: Tensor) -> Tensor:
        """Latents -> images."""


@keras.saving.register_keras_serializable(PACKAGE)
@dataclasses.dataclass(frozen=True)
class Identity:
    """The image itself is what is diffused.

    Args:
        image_shape: (H, W, C).
    """

    image_shape: Shape

    @property
    def latent_shape(self) -> Shape:
        """(H, W, C), that of the image."""
        return self.image_shape

    def encode(self, x: Tensor) -> Tensor:
        """The same image."""
        return x

    def decode(self, z: Tensor) -> Tensor:
        """The same image."""
        return z

    def get_config(self) -> dict:
        return {"image_shape": list(self.image_shape)}

    @classmethod
    def from_config(cls, config: dict) -> "Identity":
        return cls(tuple(config["image_shape"]))


def is_latent(codec: Codec) -> bool:
    """Whether something else than the image is diffused."""
    return not isinstance(codec, Identity)


def codec_of(network: Any, codec: Codec | None = None) -> Codec:
    """The codec to use a network with.

    Args:
        network: Model of what is diffused, with an `image_shape`.
        codec: `Codec`; None for the identity.

    Raises:
        ValueError: if the network diffuses something of another shape than the codec's latents.
    """
    if codec is None:
        return Identity(tuple(getattr(network, "image_shape", ())))
    if tuple(codec.latent_shape) != tuple(network.image_shape):
        raise ValueError(
            f"`codec` must have latents of {tuple(network.image_shape)}, which the network diffuses. "
            f"Received: one from {tuple(codec.image_shape)} to {tuple(codec.latent_shape)}"
        )
    return codec
