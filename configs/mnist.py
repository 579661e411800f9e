"""The default model: readable digits on MNIST.

    python train.py --config configs/mnist.py --out runs/mnist

v-prediction on a cosine schedule, conditioning in every block, attention at 7 x 7.
"""

from keras_ddpm.config import Config


def get_config():
    return Config()
