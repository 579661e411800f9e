"""The network of a configuration: the U-Net of images or latents, or the autoencoder."""

from typing import Any

from keras_ddpm.config import AutoencoderConfig
from keras_ddpm.data.attributes import conditions_of
from keras_ddpm.networks.autoencoder import Autoencoder, latent_shape
from keras_ddpm.networks.unet import UNet


def build_network(config: Any, image_shape, num_classes, *, dtype=None) -> Any:
    """What a configuration trains, built, with fresh weights: the U-Net of images or latents, or the autoencoder.

    Args:
        config: `Config`.
        image_shape: (H, W, C) of the images.
        num_classes: Number of classes.
        dtype: Keras's policy; None for the global one.
    """
    if config.training.objective == "autoencoder":
        return build_autoencoder(config.autoencoder, image_shape, dtype=dtype)
    image_shape = diffused_shape(config, image_shape)
    conditions, levels = conditions_of(num_classes, config.data.attributes), config.diffusion.T
    network = UNet(image_shape, conditions, levels=levels, **vars(config.network), dtype=dtype)
    network.build()
    return network


def build_autoencoder(section: AutoencoderConfig, image_shape, *, dtype=None) -> Autoencoder:
    """The autoencoder of a configuration, built, with fresh weights; `dtype` is Keras's policy."""
    sizes = {"latent_channels": section.latent_channels, "widths": section.encoder_widths}
    network = Autoencoder(image_shape, **sizes, depth=section.encoder_depth, dtype=dtype)
    network.build()
    return network


def diffused_shape(config: Any, image_shape) -> tuple[int, int, int]:
    """(H, W, C) of what a configuration diffuses: the images of this shape, or their latents.

    Raises:
        ValueError: if the autoencoder's levels do not fit the image.
    """
    if not config.latent:
        return image_shape
    section = config.autoencoder
    return latent_shape(image_shape, latent_channels=section.latent_channels, widths=section.encoder_widths)
