"""Denoisers: functions (x_t, t) -> x_0 estimate, and what wraps them.

    y = y_uncond + w (y_cond - y_uncond)

w = 0 is unconditional, w = 1 conditional, above 1 guided. (Ho and Salimans write 1 + w for our w.) At a given x_t, eps,
v and x_0 are affine in each other, so the same line holds for whichever of them the network predicts.

A guidance is a function (network, diffusion, condition, null, w) -> denoiser, where `condition` is a dict of tensors
(B,) and `null` the value of each that stands for "not given". A threshold wraps a denoiser.

Reference: Ho and Salimans, "Classifier-free diffusion guidance", arXiv 2207.12598, eq. 6.
"""

import math
from collections.abc import Callable, Mapping

import keras
from keras import ops

from keras_ddpm.backends.gradients import input_gradient
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.call import predict
from keras_ddpm.saving.serialization import register
from keras_ddpm.types import Denoiser, Tensor


def conditional(network: keras.Model, diffusion: Diffusion, condition: Mapping[str, Tensor]) -> Denoiser:
    """The network as a denoiser, with its condition bound.

    Args:
        network: Model called as `(x_t, t, condition)`.
        diffusion: `Diffusion`.
        condition: dict of tensors (B,).
    """

    def denoise(x_t, t):  # t is () or (B,)
        return diffusion.x_0(predict(network, x_t, ops.broadcast_to(t, _batch(condition)), condition), x_t, t)

    return denoise


def unguided(
    network: keras.Model, diffusion: Diffusion, condition: Mapping[str, Tensor], null: Mapping[str, float], w: Tensor
) -> Denoiser:
    """No guidance: the conditional denoiser, whatever w is."""
    return conditional(network, diffusion, condition)


def classifier_free(
    network: keras.Model,
    diffusion: Diffusion,
    condition: Mapping[str, Tensor],
    null: Mapping[str, float],
    w: Tensor,
    *,
    interval: tuple[float, float] | None = None,
) -> Denoiser:
    """Classifier-free guidance: the conditional and the unconditional prediction in one batch of 2B.

    Where every image's w is 1, the conditional prediction is all that counts, and the batch is B.

    Args:
        network, diffusion, condition: See `conditional`.
        null: dict of the values that stand for "no condition".
        w: float (B,), guidance of each image.
        interval: (low, high) noise levels sigma_t / alpha_t in which to guide; None for all. See `within`.
    """
    nothing = {name: ops.full_like(value, null[name]) for name, value in condition.items()}
    both = {name: ops.concatenate([value, nothing[name]], axis=0) for name, value in condition.items()}  # (2B,)
    plain = conditional(network, diffusion, condition)

    def guided(x_t, t, w_t):
        times = ops.broadcast_to(t, _batch(condition))  # (B,)
        y = predict(network, ops.concatenate([x_t, x_t], axis=0), ops.concatenate([times, times], axis=0), both)
        cond, uncond = ops.split(y, 2, axis=0)  # each (B, H, W, C)
        return diffusion.x_0(uncond + w_t * (cond - uncond), x_t, t)

    return _where_it_matters(plain, guided, within(interval, diffusion), w)


def autoguidance(
    network: keras.Model,
    diffusion: Diffusion,
    condition: Mapping[str, Tensor],
    null: Mapping[str, float],
    w: Tensor,
    *,
    weak: keras.Model,
    interval: tuple[float, float] | None = None,
) -> Denoiser:
    """Autoguidance: away from a weaker network under the same condition, y = y_weak + w (y - y_weak).

    Args:
        network, diffusion, condition, null, w, interval: See `classifier_free`.
        weak: A smaller or less trained network with the same prediction.

    Reference: Karras et al., "Guiding a diffusion model with a bad version of itself", arXiv 2406.02507, eq. 3.
    """
    plain = conditional(network, diffusion, condition)

    def guided(x_t, t, w_t):
        times = ops.broadcast_to(t, _batch(condition))  # (B,)
        strong, bad = (predict(model, x_t, times, condition) for model in (network, weak))
        return diffusion.x_0(bad + w_t * (strong - bad), x_t, t)

    return _where_it_matters(plain, guided, within(interval, diffusion), w)


def by_score(
    network: keras.Model,
    diffusion: Diffusion,
    condition: Mapping[str, Tensor],
    null: Mapping[str, float],
    w: Tensor,
    *,
    score: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
    scale: float = 1.0,
    levels: tuple[float, float] = (0.1, 3.0),
    interval: tuple[float, float] | None = None,
) -> Denoiser:
    """Classifier-free guidance, moved up the gradient of a score of the image; see `toward`.

    Args:
        network, diffusion, condition, null, w, interval: See `classifier_free`.
        score: Function (x_0 (B, H, W, C), condition) -> (B,), such as one of `guides.GUIDES`.
        scale, levels: See `toward`.
    """
    denoise = classifier_free(network, diffusion, condition, null, w, interval=interval)
    return toward(denoise, lambda x_0: score(x_0, condition), diffusion, scale=scale, levels=levels)


def toward(
    denoise: Denoiser,
    score: Callable[[Tensor], Tensor],
    diffusion: Diffusion,
    *,
    scale: float = 1.0,
    levels: tuple[float, float] = (0.1, 3.0),
) -> Denoiser:
    """A denoiser moved up the gradient of a score: x_0 + scale sigma_t^2 / alpha_t grad_{x_t} score(x_0(x_t)).

    If the score is log p(c | x_0) and the scale 1, this is the estimate given c, by Bayes' rule and Tweedie's formula,
    but for the score being taken of the estimate, clipped to the range of images, instead of the image.

    Args:
        denoise: What to wrap.
        score: Function x_0 (B, H, W, C) -> (B,).
        diffusion: `Diffusion`.
        scale: lambda; 0 changes nothing, and costs nothing.
        levels: (low, high) noise levels sigma_t / alpha_t in which to move; elsewhere the gradient is not computed.

    Raises:
        ValueError: if the scale is not finite, or `levels` is empty or not finite.

    Reference: Dhariwal and Nichol, arXiv 2105.05233, algorithm 2; the score of the estimate: Chung et al. (DPS),
    arXiv 2209.14687, eq. 10.
    """
    low, high = levels
    if not math.isfinite(scale):
        raise ValueError(f"`scale` must be finite. Received: {scale}")
    if not 0 <= low < high < math.inf:
        raise ValueError(f"`levels` must be (low, high) with 0 <= low < high, finite. Received: {levels}")
    if scale == 0:
        return denoise

    def moved(x_t, t):
        def scored(x):
            x_0 = denoise(x, t)
            return score(ops.clip(x_0, -1.0, 1.0)), x_0

        gradient, _, x_0 = input_gradient(scored, ops.convert_to_tensor(x_t))
        alpha_t, sigma_t = diffusion.alpha_sigma(t)
        return x_0 + scale * sigma_t**2 / alpha_t * gradient

    def moved_where_it_matters(x_t, t):
        return ops.cond(ops.all(_inside(t, levels, diffusion)), lambda: moved(x_t, t), lambda: denoise(x_t, t))

    return moved_where_it_matters


def within(interval: tuple[float, float] | None, diffusion: Diffusion) -> Callable[[Tensor, Tensor], Tensor]:
    """Guides only where the noise level sigma_t / alpha_t lies in an interval; elsewhere w is 1, or less if it was.

    Guidance at high noise costs diversity, at low noise it does nothing.

    Args:
        interval: (low, high), 0 <= low < high; None for everywhere.
        diffusion: `Diffusion`.

    Returns:
        Function `(w (B,), t () or (B,)) -> w (B,)`.

    Raises:
        ValueError: if the interval is empty.

    Reference: Kynkäänniemi et al., arXiv 2404.07724.
    """
    if interval is None:
        return lambda w, t: w
    low, high = interval
    if not 0 <= low < high:
        raise ValueError(f"`guidance_interval` must be (low, high) with 0 <= low < high. Received: {interval}")

    def strength(w, t):
        return ops.where(_inside(t, interval, diffusion), w, ops.minimum(w, 1.0))

    return strength


def _inside(t, levels, diffusion):
    """Whether the noise level of each time lies in an interval: like t."""
    low, high = levels
    alpha_t, sigma_t = diffusion.schedule(ops.convert_to_tensor(t, "float32"))
    return ops.logical_and(low * alpha_t <= sigma_t, sigma_t / high <= alpha_t)  # `high` may be infinite


def _where_it_matters(plain, guided, strength, w):
    """A denoiser that is `plain` at times when no image is guided."""

    def denoise(x_t, t):
        w_t = strength(w, t)
        return ops.cond(
            ops.all(ops.equal(w_t, 1.0)),
            lambda: plain(x_t, t),
            lambda: guided(x_t, t, ops.reshape(w_t, (-1, 1, 1, 1))),
        )

    return denoise


def clip(denoise: Denoiser) -> Denoiser:
    """Static thresholding: x_0 clipped to [-1, 1], the range of images."""
    return lambda x_t, t: ops.clip(denoise(x_t, t), -1.0, 1.0)


def dynamic_threshold(denoise: Denoiser, *, quantile: float = 0.995) -> Denoiser:
    """Dynamic thresholding: x_0 clipped to [-s, s] and divided by s, with s = max(1, quantile of |x_0|) of each image.

    Reference: Saharia et al. (Imagen), arXiv 2205.11487, section 2.3.
    """

    def thresholded(x_t, t):
        x_0 = denoise(x_t, t)
        s = ops.quantile(ops.abs(x_0), quantile, axis=(1, 2, 3), keepdims=True)  # (B, 1, 1, 1)
        s = ops.maximum(s, 1.0)
        return ops.clip(x_0, -s, s) / s

    return thresholded


def unlimited(denoise: Denoiser) -> Denoiser:
    """No thresholding: x_0 as it comes."""
    return denoise


GUIDANCES: dict[str, Callable] = {"classifier_free": classifier_free, "autoguidance": autoguidance, "none": unguided}
THRESHOLDS = {"static": clip, "dynamic": dynamic_threshold, "none": unlimited}

register(*GUIDANCES.values(), by_score, *THRESHOLDS.values())


def _batch(condition):
    return ops.shape(next(iter(condition.values())))
