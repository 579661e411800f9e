"""Colour MNIST, 32 x 32 x 3: digits in one colour on a ground of another.

    python train.py --config configs/colour_mnist.py --out runs/colour_mnist
    python -m keras_ddpm sample 7 --attributes digit_red 1 ground_blue 0.8 --preset runs/colour_mnist

The network of `mnist_fast`'s first stage with an embedding for each part of both colours, 0.55 million weights. Each
part is dropped on its own from most of the images, so that any may be left out, and guidance still finds images that
have lost everything. After ten epochs digits are still rough. Measure them by a judge of the same data:

    python -m keras_ddpm judge --dataset colour_mnist
    python -m keras_ddpm evaluate --run runs/colour_mnist --judge judges/colour_mnist
"""

from keras_ddpm.config import Config, DataConfig, DiffusionConfig, NetworkConfig, TrainingConfig

COLOURS = tuple(f"{what}_{part}" for what in ("digit", "ground") for part in ("red", "green", "blue"))


def get_config():
    return Config(
        name="colour_mnist",
        data=DataConfig(dataset="colour_mnist", attributes=COLOURS),
        network=NetworkConfig(widths=(48, 96), depths=(1, 2)),
        diffusion=DiffusionConfig(prediction="x0", weighting="min_snr"),
        training=TrainingConfig(epochs=16, learning_rate=2e-3, p_uncond=0.15, grid_every=2),
    )
