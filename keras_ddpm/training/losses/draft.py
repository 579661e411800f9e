"""DRaFT-1: a trained model learns to draw what a score likes, by the gradient through its last call alone.

    x_t = what the averaged network has drawn, from noise, when the sampler's last step begins; no gradient
    f(x_t, t) = the x_0 that the trained network's prediction stands for, clipped to [-1, 1]: every sampler ends there
    descend on  (loss of diffusion) - reward_weight score(f(x_t, t), condition)

A gradient through all steps takes the memory of all of them, and may explode. The paper finds that the last step is
enough: one network serves them all. No score knows all that an image should be, so the loss of diffusion stays beside
it, on the batch's images; the more the score counts, the more the network may learn to please it alone.

Deviation: the paper trains low-rank updates of a large network, draws with guidance, and has no loss of diffusion. Here
all weights are trained, and what is scored is drawn without guidance, one call a step, by the averaged network, which
is the one that is kept. Every estimate is clipped, whatever the configuration's threshold, and a clipped pixel has no
gradient.

Reference: Clark et al., "Directly fine-tuning diffusion models on differentiable rewards", arXiv 2309.17400 (DRaFT-K
with K = 1).
"""

import functools
import math
from collections.abc import Callable, Mapping

import keras
from keras import ops

from keras_ddpm import noise, samplers
from keras_ddpm.saving.serialization import PACKAGE, deserialize, serialize
from keras_ddpm.training.ddpm import DDPM, as_dict
from keras_ddpm.training.losses.consistency import denoised
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class DraftTuning(DDPM):
    """Tunes a trained network to draw what a score likes.

    The validation loss is still the squared error, so that it compares with that of `DDPM`.

    Args:
        network, diffusion: See `DDPM`; the network has trained weights.
        score: Function (x_0 (B, H, W, C) in [-1, 1], condition) -> (B,), such as one of `guides.GUIDES`.
        reward_weight: Weight of the score beside the loss of diffusion, finite and at least 0.
        reward_steps: Steps in which the images are drawn, at least 1; at most T of a discrete schedule.
        sampler: One of `samplers.SAMPLERS`.
        **kwargs: See `DDPM`.

    Raises:
        ValueError: for an argument out of range.
    """

    def __init__(
        self,
        network,
        diffusion,
        *,
        score: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
        reward_weight: float = 0.01,
        reward_steps: int = 5,
        sampler: samplers.Sampler = samplers.ddim,
        **kwargs,
    ):
        most = diffusion.levels or math.inf
        if not 0 <= reward_weight < math.inf:
            raise ValueError(f"`reward_weight` must be finite and at least 0. Received: {reward_weight}")
        if not 1 <= reward_steps <= most:
            raise ValueError(f"`reward_steps` must be in 1..{most}. Received: {reward_steps}")
        super().__init__(network, diffusion, **kwargs)
        self.score, self.reward_weight = score, reward_weight
        self.reward_steps, self.sampler = reward_steps, sampler
        self.visited = samplers.times_of(sampler, reward_steps, diffusion.schedule)
        self.columns = samplers.coefficients(sampler, diffusion.schedule, self.visited)

    def call(self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, Tensor]:
        losses, t = super().call(x_0, condition, training=training)
        key = ops.cast(keras.random.randint((ops.shape(x_0)[0], 2), 0, 2**31 - 1, seed=self.seeds), "uint32")
        condition = as_dict(condition)
        x_t = ops.stop_gradient(self.before_the_last_step(key, condition))
        return losses - self.reward_weight * self.reward(x_t, condition, training=training), t

    def before_the_last_step(self, key: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """x_t (B, H, W, C) of what the averaged network draws of keys uint32 (B, 2), see `noise.split_seed`."""
        between = functools.partial(noise.normal, key, shape=self.network.image_shape)

        def denoise(x_t, t):
            return self.estimate(self.ema_network, x_t, ops.broadcast_to(t, ops.shape(key)[:1]), condition)

        return samplers.loop(denoise, between(0), self.visited[:-1], self.columns[:-1], noise=between)

    def reward(self, x_t: Tensor, condition: Mapping[str, Tensor], *, training: bool | None = False) -> Tensor:
        """The score (B,) of what the trained network makes of x_t in the last step."""
        t = ops.full(ops.shape(x_t)[:1], float(self.visited[-1]))
        return self.score(self.estimate(self.network, x_t, t, condition, training=training), condition)

    def estimate(self, network, x_t, t, condition, *, training: bool | None = False) -> Tensor:
        """x_0 (B, H, W, C), in the range of images."""
        return ops.clip(denoised(network, self.diffusion, x_t, condition, t, training=training), -1.0, 1.0)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "score": keras.saving.serialize_keras_object(self.score),
            "reward_weight": self.reward_weight,
            "reward_steps": self.reward_steps,
            "sampler": serialize(self.sampler),
        }

    @classmethod
    def from_config(cls, config: dict) -> "DDPM":
        score = keras.saving.deserialize_keras_object(config["score"])
        return super().from_config({**config, "score": score, "sampler": deserialize(config["sampler"])})
