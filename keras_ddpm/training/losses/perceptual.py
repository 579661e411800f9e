"""Self-perceptual tuning: the loss is taken in the features of the diffusion model itself, as it was at the start.

    h = the bottleneck of the frozen network,  f and e = the x_0 and the eps that the prediction at t stands for
    r ~ uniform,  x_r = alpha_r x_0 + sigma_r eps,  x_r' = alpha_r f + sigma_r e
    descend on  weight_t | h(x_r', r, condition) - h(x_r, r, condition) |^2

A squared error of pixels likes a blurred estimate; features that look for strokes do not. No other network is needed,
least of all one that judges.

Reference: Lin and Yang, "Diffusion model with perceptual loss", arXiv 2401.00110, section 4.
"""

from collections.abc import Mapping

import keras
from keras import ops

from keras_ddpm.networks.call import predict
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.train_step import copy_network
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class PerceptualTuning(DDPM):
    """Tunes a trained network by the distance of its own features.

    The validation loss is still the squared error, so that it compares with that of `DDPM`.

    Args:
        network: See `DDPM`; it has trained weights and `features`, as `UNet` has.
        diffusion, **kwargs: See `DDPM`.

    Raises:
        ValueError: for a network without `features`.
    """

    def __init__(self, network, diffusion, **kwargs):
        super().__init__(network, diffusion, **kwargs)
        if not hasattr(network, "features"):
            raise ValueError(
                f"`network` must have a method `features`, as UNet has. Received: {type(network).__name__}"
            )
        self.frozen = copy_network(network, "frozen")

    def call(self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, Tensor]:
        t, eps, condition = self.draw(x_0, condition)
        r = self.diffusion.snap(1.0 - keras.random.uniform(ops.shape(t), seed=self.seeds))  # in (0, 1]
        return self.distances(x_0, condition, t, eps, r, training=training), t

    def distances(self, x_0, condition, t, eps, r, *, training: bool | None = False) -> Tensor:
        """The loss of each image (B,), whose features are compared at the times r (B,)."""
        x_t = self.diffusion.add_noise(x_0, eps, t)
        y = ops.cast(predict(self.network, x_t, t, condition, training=training), "float32")
        f = self.diffusion.x_0(y, x_t, t)
        seen = self.frozen.features(self.diffusion.add_noise(f, self.diffusion.eps(f, x_t, t), r), r, condition)
        wanted = self.frozen.features(self.diffusion.add_noise(x_0, eps, r), r, condition)
        error = ops.cast(seen, "float32") - ops.cast(ops.stop_gradient(wanted), "float32")
        return self.diffusion.weight(t) * ops.mean(ops.square(error), axis=(1, 2, 3))
