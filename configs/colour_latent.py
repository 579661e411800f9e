"""Colour MNIST, 32 x 32 x 3, as 8 x 8 x 6 latents of an autoencoder: the preset `colour_mnist`.

    python train.py --config configs/colour_autoencoder.py --out runs/colour_autoencoder
    python train.py --config configs/colour_latent.py --out runs/colour_latent

An embedding for each part of both colours, each dropped on its own, so that any may be left out.
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, SamplingConfig, TrainingConfig
from keras_ddpm.data.colour_mnist import ATTRIBUTES


def get_config():
    return Config(
        name="colour_latent",
        data=DataConfig(dataset="colour_mnist", attributes=ATTRIBUTES),
        network=NetworkConfig(widths=(64, 96), depths=(2, 2), attention=(True, False), patch=1),
        training=TrainingConfig(codec="runs/colour_autoencoder", epochs=8, grid_every=2),
        sampling=SamplingConfig(threshold="none"),
    )
