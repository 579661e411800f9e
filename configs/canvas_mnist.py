"""Canvas MNIST, 64 x 64 x 1, by its pixels: one digit somewhere on a black canvas, at some size.

    python train.py --config configs/canvas_mnist.py --out runs/canvas_mnist

The stem folds 4 x 4 pixels into channels, so the network works at 16 x 16.
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, TrainingConfig


def get_config():
    return Config(
        name="canvas_mnist",
        data=DataConfig(dataset="canvas_mnist"),
        network=NetworkConfig(widths=(32, 64, 96), depths=(1, 2, 2), attention=(False, True, False), patch=4),
        training=TrainingConfig(epochs=16, learning_rate=2e-3, precision="float32", grid_every=4),
    )
