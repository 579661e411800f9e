"""A network of 50 thousand weights on 12,800 images: about a minute on two cores, for tests.

    python train.py --config configs/tiny.py --out runs/tiny

Expect strokes, and here and there a digit.
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, SamplingConfig, TrainingConfig


def get_config():
    return Config(
        name="tiny",
        data=DataConfig(train_images=12_800, validation_images=500),
        network=NetworkConfig(widths=(16, 32), depths=(1, 1), attention=(False, False), embed_dim=32),
        training=TrainingConfig(epochs=4, warmup_steps=50, ema_decay=0.99, precision="float32", grid_every=4),
        sampling=SamplingConfig(steps=10),
    )
