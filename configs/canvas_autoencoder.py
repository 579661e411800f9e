"""An autoencoder of canvas MNIST, 64 x 64 x 1 to 8 x 8 x 4 and back, for configs/canvas_latent.py.

python train.py --config configs/canvas_autoencoder.py --out runs/canvas_autoencoder
"""

from keras_ddpm.config import AutoencoderConfig, Config, DataConfig, TrainingConfig


def get_config():
    return Config(
        name="canvas_autoencoder",
        data=DataConfig(dataset="canvas_mnist"),
        autoencoder=AutoencoderConfig(latent_channels=4, encoder_widths=(8, 16, 32, 64)),
        training=TrainingConfig(
            objective="autoencoder",
            epochs=6,
            learning_rate=2e-3,
            ema_decay=0.999,
            precision="float32",
            grid_every=1,
        ),
    )
