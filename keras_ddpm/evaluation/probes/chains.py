"""What evaluation needs of the process itself: frames along it and traces of its numbers, drawn from a generator.

forward    real images at t = -1 ... T-1            x_t = alpha_t x_0 + sigma_t eps
reverse    the states x_t that sampling goes through, from noise to image
estimate   the x_0 estimates made from them
"""

import dataclasses

import numpy as np

from keras_ddpm.data import to_float, to_uint8
from keras_ddpm.generator import Generator

FRAMES = 21
MOST_STATES = 16_000  # states held at once, so that a thousand steps fit into memory too
MOST_IMAGES, MOST_CHAINS = 200, 64


def count_images(n, steps):
    """How many of n images are drawn with their whole path."""
    return max(1, min(n, MOST_IMAGES, MOST_STATES // steps))


def recorder(generator, sampling):
    """The same generator, keeping the path.

    Args:
        generator: `Generator`.
        sampling: The `SamplingConfig` it was made from.
    """
    return Generator.from_names(generator.network, generator.diffusion, sampling, record=True)


def frames(path, labels, *, times, T):
    """Frames of the reverse process, at most `FRAMES` of them.

    Args:
        path: What a recording generator's `sample` returns.
        labels: int (N,).
        times: int (S,), the generator's.
        T: Number of noise levels.

    Returns:
        Dict of `reverse` and `estimate`: (frames uint8 (F, N, H, W, C), labels, progress (F,)).
    """
    states = np.concatenate([path["x_T"][:, None], path["x_s"]], axis=1)  # (N, S + 1, H, W, C)
    progress = 1 - (np.append(times, -1) + 1) / T  # (S + 1,), 0 ... 1
    result = {}
    for name, images in (("reverse", states), ("estimate", path["x_0"])):
        kept = _spread(images.shape[1])
        result[name] = (to_uint8(np.moveaxis(images[:, kept], 1, 0)), labels, progress[kept])
    return result


def noised(images, labels, diffusion, *, seed=0):
    """Frames of the forward process.

    Args:
        images: uint8 (N, H, W, C), real.
        labels: int (N,).
        diffusion: `Diffusion`.
        seed: Of the noise, which is the same at every t.

    Returns:
        (frames uint8 (F, N, H, W, C), labels, progress (F,)).
    """
    x_0 = to_float(images)
    eps = np.random.default_rng(seed).standard_normal(x_0.shape).astype("float32")
    times = _spread(diffusion.T + 1).astype("int32") - 1  # -1 ... T-1
    stack = [to_uint8(np.asarray(diffusion.add_noise(x_0, eps, t))) for t in times]
    return np.stack(stack), labels, (times + 1) / diffusion.T


def traces(recording, sampling, digit, w, seed):
    """x_t, eps, mu and the x_0 estimate before thresholding, in a few chains.

    Args:
        recording: What `recorder` returns.
        sampling: Its `SamplingConfig`.
        digit, w, seed: Of the chains, (N,); as many are used as memory allows.

    Returns:
        Dict of `traces` (float32 (S, N, H, W, C) by name), `steps` (S,) and `alpha_bar_end`.
    """
    steps = len(recording.times)
    few = slice(max(1, min(MOST_CHAINS, MOST_STATES // steps)))
    digit, w, seed = np.asarray(digit, "int32")[few], np.asarray(w, "float32")[few], np.asarray(seed)[few]
    kept = _spread(steps, most=50)
    found = {name: trace[kept] for name, trace in recording.traces(digit, w, seed).items()}
    times = recording.times[kept]
    network, diffusion = recording.network, recording.diffusion
    free = Generator.from_names(network, diffusion, dataclasses.replace(sampling, threshold="none"))
    denoise = free.denoiser(digit, w)
    found["x_0"] = np.stack([np.asarray(denoise(x_t, t)) for x_t, t in zip(found["x_t"], times)])
    return {"traces": found, "steps": times, "alpha_bar_end": float(diffusion.alpha_bar[-1])}


def _spread(count, *, most=FRAMES):
    """Up to `most` of the indices 0 ... count - 1, evenly, first and last among them."""
    return np.unique(np.round(np.linspace(0, count - 1, min(count, most))).astype(int))
