"""Fine-tuning on what a score calls bad: the images that the model makes least of count most.

    r = the time at which sigma_r = alpha_r,  f_i = the averaged network's estimate of image i from x_r
    p_i = exp(score(f_i, condition_i)),  of CLIP the share of its captions that say that the digit is there, and sharp
    descend on  (1 - p_i) / mean_j (1 - p_j)  times the loss of diffusion of image i

The report proposed a feedback loop, and left it open: CLIP finds what the model draws badly, and the model trains more
on that. This is the simplest reading: weights, whose mean over a batch is 1, do what showing an image more often does.
They follow the model, since they are taken anew in each step. All estimates are taken at one noise level, where signal
and noise are equal: at each image's own t the weights would tell noisy images from clear ones, not hard from easy ones.

The score has no gradient here: it says what to learn from, and the images say what to learn. So it cannot be pleased by
patterns that only it sees.

Reference: Lin et al. (the focal loss, where p is the model's own), arXiv 1708.02002, eq. 4.
"""

from collections.abc import Callable, Mapping

import keras
from keras import ops

from keras_ddpm import samplers
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.ddpm import DDPM, as_dict
from keras_ddpm.training.losses.consistency import estimate
from keras_ddpm.types import Tensor

LEVEL = 1.0  # sigma / alpha
LEAST = 1e-6  # of a mean by which weights are divided


@keras.saving.register_keras_serializable(PACKAGE)
class ScoreWeightedTuning(DDPM):
    """Tunes a trained network by the loss of `DDPM`, weighted by how low a score is.

    The validation loss has no weights, so that it compares with that of `DDPM`.

    Args:
        network, diffusion: See `DDPM`; the network has trained weights.
        score: Function (x_0 (B, H, W, C) in [-1, 1], condition) -> logarithm of a share (B,), at most 0, such as
            `guides.ClipGuide`.
        **kwargs: See `DDPM`.
    """

    def __init__(self, network, diffusion, *, score: Callable[[Tensor, Mapping[str, Tensor]], Tensor], **kwargs):
        super().__init__(network, diffusion, **kwargs)
        self.score = score
        self.level_time = samplers.time_of_level(LEVEL, diffusion.schedule)

    def call(self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, Tensor]:
        losses, t = super().call(x_0, condition, training=training)
        eps = keras.random.normal(ops.shape(x_0), seed=self.seeds)
        return self.weights_of(x_0, as_dict(condition), eps) * losses, t

    def weights_of(self, x_0: Tensor, condition: Mapping[str, Tensor], eps: Tensor) -> Tensor:
        """The weight of each image (B,), at least 0, of mean 1; eps (B, H, W, C) is the noise of its estimate."""
        r = ops.full(ops.shape(x_0)[:1], self.level_time)
        f = estimate(self.ema_network, self.diffusion, x_0, condition, r, eps)
        missing = 1.0 - ops.exp(self.score(ops.clip(f, -1.0, 1.0), condition))
        return ops.stop_gradient(missing / ops.maximum(ops.mean(missing), LEAST))

    def get_config(self) -> dict:
        return {**super().get_config(), "score": keras.saving.serialize_keras_object(self.score)}

    @classmethod
    def from_config(cls, config: dict) -> "DDPM":
        return super().from_config({**config, "score": keras.saving.deserialize_keras_object(config["score"])})
