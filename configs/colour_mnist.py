"""Colour MNIST, 32 x 32 x 3: digits in one colour on a ground of another.

    python train.py --config configs/colour_mnist.py --out runs/colour_mnist
    python -m keras_ddpm sample 7 --attributes digit_red 1 ground_blue 0.8 --preset runs/colour_mnist

The first network of `mnist_fast` with an embedding for each part of both colours. It predicts x_0, which is hardly more
than a shape and six numbers: to predict v it would have to carry the noise of all 3,072 values through few channels.
Each image loses any number of its colours, each number as often, so that any of them may be left out, and guidance
still finds images that have lost everything. Measure by a judge of the same data:

    python -m keras_ddpm judge --dataset colour_mnist
    python -m keras_ddpm evaluate --run runs/colour_mnist --judge judges/colour_mnist
"""

from keras_ddpm.config import Config, DataConfig, DiffusionConfig, NetworkConfig, SamplingConfig, TrainingConfig
from keras_ddpm.data.colour_mnist import ATTRIBUTES


def get_config():
    return Config(
        name="colour_mnist",
        data=DataConfig(dataset="colour_mnist", attributes=ATTRIBUTES),
        network=NetworkConfig(widths=(32, 64), depths=(1, 2)),
        diffusion=DiffusionConfig(prediction="x0"),
        training=TrainingConfig(epochs=24, learning_rate=3e-3, p_uncond=0.2, p_drop_attribute=None, grid_every=4),
        sampling=SamplingConfig(w=2.0),
    )
