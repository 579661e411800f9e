"""An autoencoder of colour MNIST, 32 x 32 x 3 to 8 x 8 x 6 and back, for configs/colour_latent.py.

python train.py --config configs/colour_autoencoder.py --out runs/colour_autoencoder
"""

from keras_ddpm.config import AutoencoderConfig, Config, DataConfig, TrainingConfig


def get_config():
    return Config(
        name="colour_autoencoder",
        data=DataConfig(dataset="colour_mnist"),
        autoencoder=AutoencoderConfig(latent_channels=6),
        training=TrainingConfig(
            objective="autoencoder",
            epochs=3,
            learning_rate=2e-3,
            ema_decay=0.999,
            precision="float32",
            grid_every=1,
        ),
    )
