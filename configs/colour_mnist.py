"""Colour MNIST, 32 x 32 x 3: digits in one colour on a ground of another.

    python train.py --config configs/colour_mnist.py --out runs/colour_mnist
    python -m keras_ddpm sample 7 --attributes digit_red 1 ground_blue 0.8 --preset runs/colour_mnist

The first network of `mnist_fast`, half as wide again, with an embedding for each part of both colours. It predicts x_0,
which is little more than a shape and six colour values; to predict v it would have to carry the noise of all 3,072
values through its few channels. Each part of the colours is dropped on its own from most of the images, so that any may
be left out, and guidance still finds images that have lost everything. A run of eleven epochs in which half of the
colours were dropped drew clean strokes of one colour, but many with the shape of another digit. Measure by a judge of
the same data:

    python -m keras_ddpm judge --dataset colour_mnist
    python -m keras_ddpm evaluate --run runs/colour_mnist --judge judges/colour_mnist
"""

from keras_ddpm.config import Config, DataConfig, DiffusionConfig, NetworkConfig, TrainingConfig
from keras_ddpm.data.colour_mnist import ATTRIBUTES


def get_config():
    return Config(
        name="colour_mnist",
        data=DataConfig(dataset="colour_mnist", attributes=ATTRIBUTES),
        network=NetworkConfig(widths=(48, 96), depths=(1, 2)),
        diffusion=DiffusionConfig(prediction="x0", weighting="min_snr"),
        training=TrainingConfig(epochs=16, p_uncond=0.2, p_drop_attribute=None, grid_every=2),
    )
