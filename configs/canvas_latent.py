"""Latent diffusion of canvas MNIST, 64 x 64 x 1, as 8 x 8 x 4 latents of a trained autoencoder.

python train.py --config configs/canvas_autoencoder.py --out runs/canvas_autoencoder
python train.py --config configs/canvas_latent.py --out runs/canvas_latent
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, SamplingConfig, TrainingConfig


def get_config():
    return Config(
        name="canvas_latent",
        data=DataConfig(dataset="canvas_mnist"),
        network=NetworkConfig(widths=(64, 96), depths=(2, 2), attention=(True, False), patch=1),
        training=TrainingConfig(
            codec="runs/canvas_autoencoder", epochs=16, learning_rate=2e-3, precision="float32", grid_every=4
        ),
        sampling=SamplingConfig(threshold="none"),
    )
