"""Consistency tuning: a trained diffusion model learns to leap to the image from any time.

    f(x_t, t) = the x_0 that the network's prediction stands for
    descend on  d(f(alpha_t x_0 + sigma_t eps, t),  sg f(alpha_r x_0 + sigma_r eps, r)),  the same eps, r < t
    d(a, b) = sqrt(|a - b|^2 + c^2) - c

f at r is the target of f at t; at r = 0 it is x_0 itself. With levels l = sigma / alpha, r starts near 0, which is
training as before, and halves its distance from t `halvings` times during the run:

    l_r = max(0, l_t (1 - 2^-k (1 + 8 sigmoid(-l_t)))),  k = 0 ... halvings

Once f agrees with itself along each path from noise to an image, one call from the noise ends where the path does. No
teacher and no discriminator are needed. The result follows the conditional distribution as it is, so w = 1 is baked in.

Reference: Geng et al., "Consistency models made easy", arXiv 2406.14548, sections 3 and 4.
"""

import keras
import numpy as np
from keras import ops

from keras_ddpm.networks.call import predict
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.types import Tensor

FINE = 1_000  # times of a continuous schedule
HUBER = 0.06  # c for each root of a pixel
CLEAREST = 1e-6  # an alpha below is as good as this one


@keras.saving.register_keras_serializable(PACKAGE)
class ConsistencyTuning(DDPM):
    """Tunes a network that was trained as a diffusion model.

    Args:
        network, diffusion: See `DDPM`; the network has trained weights.
        steps: Optimizer steps of the whole run, by which k is counted.
        halvings: The last k.
        at_noise: Share of the images that are seen at t = 1, in [0, 1].
        **kwargs: Other arguments of `DDPM`.

    Raises:
        ValueError: for an argument out of range.

    Reference: Geng et al., arXiv 2406.14548; Song and Dhariwal (the distance), arXiv 2310.14189, section 3.3.
    """

    def __init__(
        self, network, diffusion, *, steps: int, halvings: int = 5, at_noise: float = 0.25, p_uncond=0.0, **kwargs
    ):
        super().__init__(network, diffusion, p_uncond=p_uncond, steps=steps, **kwargs)
        if steps < 1 or halvings < 0 or not 0 <= at_noise <= 1:
            raise ValueError(
                "`steps` must be at least 1, `halvings` at least 0, `at_noise` in [0, 1]. "
                f"Received: {steps}, {halvings}, {at_noise}"
            )
        self.halvings, self.at_noise = halvings, at_noise
        count = diffusion.levels or FINE
        self.table = np.arange(count + 1) / count  # t = 0 is the clean image
        alpha, sigma = diffusion.schedule(self.table)
        self.levels = (sigma / np.maximum(alpha, CLEAREST)).astype("float32")

    def draw_t(self, B, curriculum=None) -> Tensor:
        """Times spread evenly, of which a share moves to t = 1."""
        noise = keras.random.uniform((B,), seed=self.seeds) < self.at_noise
        return ops.where(noise, 1.0, super().draw_t(B, curriculum))

    def halved(self) -> Tensor:
        """k, by the step that the optimizer is at."""
        return ops.minimum(ops.floor(self.done() * (self.halvings + 1)), float(self.halvings))

    def earlier(self, t, k) -> Tensor:
        """The time r of each t: (B,) in (0, 1] -> (B,) in [0, 1), times of the table."""
        table, levels = (ops.convert_to_tensor(a.astype("float32")) for a in (self.table, self.levels))
        place = ops.cast(ops.ceil(t * (len(self.table) - 1) - 1e-3), "int32")
        level = ops.take(levels, place)
        wanted = level * ops.maximum(0.0, 1.0 - 2.0**-k * (1.0 + 8.0 * ops.sigmoid(-level)))
        found = ops.cast(ops.searchsorted(levels, wanted, side="right"), "int32") - 1
        return ops.take(table, ops.minimum(found, place - 1))

    def losses(self, network, x_0, condition, t, eps, *, training=False) -> Tensor:
        """The distance (B,) of f at t from f at r."""
        r = self.earlier(t, self.halved())
        target = ops.clip(estimate(network, self.diffusion, x_0, condition, r, eps, training=training), -1.0, 1.0)
        target = ops.where(ops.reshape(r > 0, (-1, 1, 1, 1)), target, x_0)
        found = estimate(network, self.diffusion, x_0, condition, t, eps, training=training)
        return pseudo_huber(found - ops.stop_gradient(target))

    def get_config(self) -> dict:
        return {**super().get_config(), "halvings": self.halvings, "at_noise": self.at_noise}


def estimate(network, diffusion, x_0, condition, t, eps, *, training=False) -> Tensor:
    """f at t, of an image with noise eps: (B, H, W, C) float32."""
    return denoised(network, diffusion, diffusion.add_noise(x_0, eps, t), condition, t, training=training)


def denoised(network, diffusion, x_t, condition, t, *, training=False) -> Tensor:
    """f(x_t, t): the x_0 that the prediction stands for, (B, H, W, C) float32."""
    y = ops.cast(predict(network, x_t, t, condition, training=training), "float32")
    return diffusion.x_0(y, x_t, t)


def pseudo_huber(difference) -> Tensor:
    """sqrt(|d|^2 + c^2) - c of each image, with c = 0.06 sqrt(number of pixels): (B, H, W, C) -> (B,)."""
    c = HUBER * np.sqrt(np.prod(difference.shape[1:]))
    return ops.sqrt(ops.sum(ops.square(difference), axis=(1, 2, 3)) + c**2) - c
