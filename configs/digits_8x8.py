"""scikit-learn's 8 x 8 digits: a first model that needs neither a network nor a GPU.

    python train.py --config configs/digits_8x8.py --out runs/digits_8x8

About 1,100 images, so the weights of the best validation loss, which are kept, come before the end.
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, TrainingConfig


def get_config():
    return Config(
        name="digits_8x8",
        data=DataConfig(dataset="digits_8x8", validation_images=200),
        network=NetworkConfig(widths=(32, 64), depths=(1, 2), patch=1, dropout=0.1),
        training=TrainingConfig(
            epochs=200,
            batch_size=64,
            warmup_steps=200,
            ema_decay=0.998,
            precision="float32",
            grid_every=20,
        ),
    )
