"""Diffusion with an adversarial part: a discriminator looks at the estimates of x_0 while they learn to denoise.

    f(x_t, t) = the x_0 that the network's prediction stands for, at any t
    network        descends on  | prediction - target |^2 / adversarial_weight + softplus(-(D(f, y) - D(x_0, y)))
    discriminator  as in `adversarial`

The mean of all images that x_t may come from is what a squared error asks for, and at a large t it is a blur. The
discriminator asks for one of those images instead. So the estimate is no mean any more, which samplers of many steps
count on, and those of few steps do without.

Reference: Xiao et al. (denoising diffusion GANs), arXiv 2112.07804, section 4.
"""

from collections.abc import Mapping

import keras
from keras import ops

from keras_ddpm.networks.call import predict
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.losses.adversarial import AdversarialTuning
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class DiffusionGAN(AdversarialTuning):
    """Trains a diffusion model by the squared error and a discriminator.

    The validation loss is the squared error alone, so that it compares with that of `DDPM`.

    Args:
        network, diffusion: See `DDPM`; the network has a label and nothing else.
        adversarial_weight: Weight of the discriminator's part beside the squared error, above 0.
        **kwargs: Other arguments of `AdversarialTuning`, but for those of later calls.

    Raises:
        ValueError: for an argument out of range, or a network without a label.
    """

    def __init__(self, network, diffusion, *, adversarial_weight: float = 0.01, p_uncond=0.1, **kwargs):
        if not adversarial_weight > 0:
            raise ValueError(f"`adversarial_weight` must be above 0. Received: {adversarial_weight}")
        super().__init__(network, diffusion, levels=(), anchor=1.0 / adversarial_weight, p_uncond=p_uncond, **kwargs)
        self.adversarial_weight = adversarial_weight
        self.trackers["loss"] = self.loss_tracker

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self.quarter_trackers]

    def call(
        self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Estimates of x_0 (B, H, W, C) at all times, the squared error of each prediction (B,), and the times (B,)."""
        t, eps, condition = self.draw(x_0, condition)
        x_t = self.diffusion.add_noise(x_0, eps, t)
        y = ops.cast(predict(self.network, x_t, t, condition, training=training), "float32")
        return self.diffusion.x_0(y, x_t, t), self.squared_error(y, x_0, t, eps), t

    def game(self, x_0, label) -> tuple[Tensor, dict[str, Tensor]]:
        """As in `AdversarialTuning`; the loss that is logged is the squared error."""
        loss, logs = super().game(x_0, label)
        return loss, logs | {"loss": logs["anchor"]}

    def measure(self, data) -> dict[str, Tensor]:
        """The squared error of the averaged network."""
        logs = DDPM.measure(self, data)
        return {name: logs[name] for name in ("loss", *(tracker.name for tracker in self.quarter_trackers))}

    def get_config(self) -> dict:
        config = super().get_config()
        del config["levels"], config["anchor"]
        return {**config, "adversarial_weight": self.adversarial_weight}
