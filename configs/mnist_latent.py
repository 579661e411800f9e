"""Latent diffusion: digits as 7 x 7 x 4 latents of a trained autoencoder.

    python train.py --config configs/autoencoder.py --out runs/autoencoder
    python train.py --config configs/mnist_latent.py --out runs/mnist_latent

`codec` names the autoencoder's run, whose weights are copied into this one. Latents have no range, so nothing is
clipped.
"""

from keras_ddpm.config import Config, NetworkConfig, SamplingConfig, TrainingConfig


def get_config():
    return Config(
        name="mnist_latent",
        network=NetworkConfig(widths=(64, 96), depths=(2, 2), attention=(True, False), patch=1),
        training=TrainingConfig(
            codec="runs/autoencoder", epochs=16, learning_rate=2e-3, precision="float32", grid_every=4
        ),
        sampling=SamplingConfig(sampler="dpm_solver_pp_2m", w=2.0, guidance_interval=(1.0, 4.0), threshold="none"),
    )
