"""Colour MNIST, 32 x 32 x 3: digits in one colour on a ground of another.

    python train.py --config configs/colour_mnist.py --out runs/colour_mnist

The thin network of configs/mnist_fast.py, with 0.35 million weights. Measure it by a judge of the same data:

    python -m keras_ddpm judge --dataset colour_mnist
    python -m keras_ddpm evaluate --run runs/colour_mnist --judge judges/colour_mnist
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, TrainingConfig


def get_config():
    return Config(
        name="colour_mnist",
        data=DataConfig(dataset="colour_mnist"),
        network=NetworkConfig(widths=(32, 64), depths=(1, 2)),
        training=TrainingConfig(epochs=10, learning_rate=3e-3, precision="float32", grid_every=5),
    )
