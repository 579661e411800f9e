"""Denoisers: functions (x_t, t) -> x_0 estimate, and what wraps them.

    eps = eps_uncond + w (eps_cond - eps_uncond)

w = 0 is unconditional, w = 1 conditional, above 1 guided. (Ho and Salimans write 1 + w for our w.) At a given x_t, eps,
v and x_0 are affine in each other, so the same line holds for whichever of them the network predicts.

Reference: Ho and Salimans, "Classifier-free diffusion guidance", arXiv 2207.12598, eq. 6.
"""

import numpy as np
from keras import ops

ALWAYS = (0.0, float("inf"))
"""The interval of noise levels that holds all of them."""


def conditional(network, diffusion, label):
    """The network as a denoiser, with its label bound.

    Args:
        network: Model called as `(x_t, t, label)`.
        diffusion: `Diffusion`.
        label: int32 (B,).
    """

    def denoise(x_t, t):  # t is () or (B,)
        return diffusion.x_0(network(x_t, ops.broadcast_to(t, ops.shape(label)), label), x_t, t)

    return denoise


def classifier_free(network, diffusion, label, null, w, *, strength=None):
    """Guided denoiser: the conditional and the unconditional prediction in one batch of 2B.

    Where every image's w is 1, the conditional prediction is all that counts, and the batch is B.

    Args:
        network, diffusion, label: See `conditional`.
        null: The label that stands for "no class".
        w: float (B,), guidance of each image.
        strength: Function `(w (B,), t ()) -> w (B,)` at that time: `always`, or one from `within`. None: `always`.
    """
    labels = ops.concatenate([label, ops.full_like(label, null)], axis=0)  # (2B,)
    plain, strength = conditional(network, diffusion, label), strength or always

    def guided(x_t, t, w_t):
        times = ops.broadcast_to(t, ops.shape(label))  # (B,)
        both = network(ops.concatenate([x_t, x_t], axis=0), ops.concatenate([times, times], axis=0), labels)
        cond, uncond = ops.split(both, 2, axis=0)  # each (B, H, W, C)
        w_t = ops.reshape(w_t, (-1, 1, 1, 1))
        return diffusion.x_0(uncond + w_t * (cond - uncond), x_t, t)

    def denoise(x_t, t):
        w_t = strength(w, t)
        return ops.cond(ops.all(ops.equal(w_t, 1.0)), lambda: plain(x_t, t), lambda: guided(x_t, t, w_t))

    return denoise


def always(w, t):
    """Guides alike at every time."""
    return w


def within(interval, diffusion):
    """Guides only where the noise level sigma_t / alpha_t lies in an interval; elsewhere w is 1, or less if it was.

    Guidance at high noise costs diversity, at low noise it does nothing.

    Args:
        interval: (low, high), 0 <= low < high.
        diffusion: `Diffusion`.

    Returns:
        Function `(w (B,), t ()) -> w (B,)`.

    Raises:
        ValueError: if the interval is empty.

    Reference: Kynkäänniemi et al., arXiv 2404.07724.
    """
    low, high = interval
    if not 0 <= low < high:
        raise ValueError(f"`guidance_interval` must be (low, high) with 0 <= low < high. Received: {interval}")
    with np.errstate(divide="ignore"):
        level = np.sqrt(1.0 / diffusion.alpha_bar - 1.0)  # sigma_t / alpha_t
    inside = (low <= level) & (level <= high)  # (T,)

    def strength(w, t):
        return ops.where(ops.take(ops.convert_to_tensor(inside), t), w, ops.minimum(w, 1.0))

    return strength


def clip(denoise):
    """Static thresholding: x_0 clipped to [-1, 1], the range of images."""
    return lambda x_t, t: ops.clip(denoise(x_t, t), -1.0, 1.0)


def dynamic_threshold(denoise, *, quantile=0.995):
    """Dynamic thresholding: x_0 clipped to [-s, s] and divided by s, with s = max(1, quantile of |x_0|) of each image.

    Reference: Saharia et al. (Imagen), arXiv 2205.11487, section 2.3.
    """

    def thresholded(x_t, t):
        x_0 = denoise(x_t, t)
        s = ops.quantile(ops.abs(x_0), quantile, axis=(1, 2, 3), keepdims=True)  # (B, 1, 1, 1)
        s = ops.maximum(s, 1.0)
        return ops.clip(x_0, -s, s) / s

    return thresholded


def unlimited(denoise):
    """No thresholding: x_0 as it comes."""
    return denoise


THRESHOLDS = {"static": clip, "dynamic": dynamic_threshold, "none": unlimited}
