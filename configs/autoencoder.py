"""An autoencoder of MNIST, 28 x 28 x 1 to 7 x 7 x 4 and back, in whose latents configs/mnist_latent.py diffuses.

    python train.py --config configs/autoencoder.py --out runs/autoencoder

0.2 million weights. The grids show held-out images above their reconstructions (docs/guide/latent.md).
"""

from keras_ddpm.config import AutoencoderConfig, Config, TrainingConfig


def get_config():
    return Config(
        name="autoencoder",
        autoencoder=AutoencoderConfig(latent_channels=4),
        training=TrainingConfig(
            objective="autoencoder",
            epochs=6,
            learning_rate=2e-3,
            ema_decay=0.999,
            precision="float32",
            grid_every=1,
        ),
    )
