"""Training an autoencoder, in whose latents a diffusion model is then trained.

    z = mu + sigma eps,  y = decoder(z),  p = (x + 1) / 2
    descend on  | tanh(y) - x |  +  BCE(sigmoid(2 y), p)  +  kl_weight KL(N(mu, sigma^2) || N(0, 1))

tanh(y) = 2 sigmoid(2 y) - 1, so both terms of the reconstruction are of one output: the first keeps edges sharp, the
second weighs what is black or white. The KL is so weak that it only keeps the latents from drifting apart.

Each step also measures the mean and the standard deviation of mu over the batch, by which the codec scales; the average
of the weights averages these too.

Reference: Kingma and Welling, arXiv 1312.6114; Rombach et al., arXiv 2112.10752, section 3.1 and appendix G.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ddpm.data.first_batch import check_first_batch
from keras_ddpm.networks.autoencoder import Autoencoder
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.callbacks import Grid
from keras_ddpm.training.train_step import AveragedModel
from keras_ddpm.types import Tensor

TRACKED = ("loss", "l1", "bce", "kl")
SHOWN, COLUMNS = 40, 10
LEAST = 1e-6  # of a deviation by which latents are divided


@keras.saving.register_keras_serializable(PACKAGE)
class AutoencoderTraining(AveragedModel):
    """Trains an autoencoder; keeps an exponential moving average of its weights beside it.

    Args:
        network: `Autoencoder`.
        kl_weight: Weight of the KL, the mean over the latents' numbers; at least 0.
        ema_decay: See `AveragedModel`.
        seed: Seed of eps.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> model = AutoencoderTraining(Autoencoder((28, 28, 1)))
        >>> model.compile(optimizer="adam")
        >>> model.fit(images, labels, batch_size=128, epochs=5)
    """

    def __init__(self, network: Autoencoder, *, kl_weight: float = 1e-4, ema_decay=0.9995, seed: int = 0, **kwargs):
        if not 0 <= kl_weight < np.inf:
            raise ValueError(f"`kl_weight` must be finite and at least 0. Received: {kl_weight}")
        super().__init__(network, ema_decay=ema_decay, seed=seed, **kwargs)
        self.kl_weight = kl_weight
        self.trackers = {name: keras.metrics.Mean(name=name) for name in TRACKED}
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.trackers.values())

    def fit(self, x: Any = None, y: Any = None, **kwargs) -> keras.callbacks.History:
        """Keras's `fit`, after a look at the first batch; labels are not looked at.

        Raises:
            ValueError: if the images are not in [-1, 1].
        """
        check_first_batch(x, y)
        return super().fit(x, y, **kwargs)

    def call(self, x_0: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of the loss (B,) of images (B, H, W, C), and mu (B, h, w, c)."""
        mu, log_variance = self.network.posterior(x_0)
        eps = keras.random.normal(ops.shape(mu), seed=self.seeds)
        return self.losses(self.network, x_0, mu, log_variance, mu + ops.exp(0.5 * log_variance) * eps), mu

    def losses(self, network: Autoencoder, x_0: Tensor, mu, log_variance, z) -> dict[str, Tensor]:
        """The loss and its terms, (B,) each, of images whose posterior is known and whose latents are z."""
        y = network.decoder(z)

        def mean(values):
            return ops.mean(values, axis=(1, 2, 3))

        terms = {
            "l1": mean(ops.abs(ops.tanh(y) - x_0)),
            "bce": mean(ops.softplus(2.0 * y) - (x_0 + 1.0) * y),
            "kl": mean(0.5 * (ops.square(mu) + ops.exp(log_variance) - 1.0 - log_variance)),
        }
        return {"loss": terms["l1"] + terms["bce"] + self.kl_weight * terms["kl"], **terms}

    def learn(self, data) -> dict[str, Tensor]:
        x_0 = ops.cast(data[0], "float32")

        def loss():
            losses, mu = self(x_0)
            return self.optimizer.scale_loss(ops.mean(losses["loss"])), (losses, mu)

        gradients, (losses, mu) = self.gradients(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.network.mean.assign(ops.mean(mu, axis=(0, 1, 2)))
        self.network.deviation.assign(ops.maximum(ops.std(mu, axis=(0, 1, 2)), LEAST))
        self.update_ema(self.optimizer.iterations)
        return self.tracked(losses)

    def measure(self, data) -> dict[str, Tensor]:
        """The averaged network's loss, with z = mu, which is what a codec decodes."""
        x_0, *weight = data[0] if isinstance(data[0], tuple | list) else data[:1]
        x_0 = ops.cast(x_0, "float32")
        mu, log_variance = self.ema_network.posterior(x_0)
        return self.tracked(self.losses(self.ema_network, x_0, mu, log_variance, mu), *weight)

    def tracked(self, losses, weight=None) -> dict[str, Tensor]:
        """The logs, with these values (B,) in their means; rows of weight 0 do not count."""
        for name, tracker in self.trackers.items():
            tracker.update_state(losses[name], sample_weight=weight)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def get_config(self) -> dict:
        return {**super().get_config(), "kl_weight": self.kl_weight}


class ReconstructionGrid(Grid):
    """Writes held-out images, a row of them above each row of their reconstructions.

    Args:
        network: `Autoencoder` with the averaged weights.
        originals: float (N, H, W, C) in [-1, 1], of which the first 40 are shown.
        folder, every: See `Grid`.
    """

    def __init__(self, network, originals, folder, *, every):
        super().__init__(folder, every=every, columns=min(COLUMNS, len(originals)))
        self.network, self.originals = network, originals[:SHOWN]

    def images(self) -> np.ndarray:
        rebuilt = ops.convert_to_numpy(self.network(ops.convert_to_tensor(self.originals)))
        starts = range(0, len(self.originals), COLUMNS)
        return np.concatenate([array[i : i + COLUMNS] for i in starts for array in (self.originals, rebuilt)])
