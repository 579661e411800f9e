"""Editing: pictures between two pictures, variations of an image, and the film of how a picture comes about.

    z     = slerp(z_a, z_b; u)              the noise of two seeds, x_T and that of every step
    x_0   = (1 - u) x_0^a + u x_0^b         the guided estimates of two digits
    x_t   = alpha_t x + sigma_t z           an image, noised to a level from which it comes back

All of it goes through the sampler's own loop: another start, another noise, or a denoiser that is made of two. So it
works with any network, guidance and sampler, and the ends are the pictures that `keras_ddpm.sample`
draws with the same preset.

Reference: DDIM, arXiv 2010.02502, section 5.3 (spherical interpolation); Meng et al. (SDEdit), arXiv 2108.01073.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_ddpm import api, noise, presets, samplers
from keras_ddpm.backends.compiled import compiled, in_batches
from keras_ddpm.checks import source_images
from keras_ddpm.checks.sampling import check_asked, check_baked_w, check_number, check_request
from keras_ddpm.data.attributes import conditions_of
from keras_ddpm.data.pixels import to_float, to_uint8
from keras_ddpm.schedules import snap
from keras_ddpm.types import Denoiser, Tensor

MAX_BATCH = 256


def interpolate(
    digit: Any,
    seed: Any,
    *,
    n: int = 8,
    w: Any = None,
    sampler=None,
    steps=None,
    temperature: float | None = None,
    preset=presets.DEFAULT,
) -> np.ndarray:
    """Draw the pictures from one (digit, seed) to another.

    Args:
        digit: int, or a pair of ints: the first picture's and the last one's.
        seed: int, or a pair of ints in 0 ... 2^63 - 1. The noise goes from one to the other on a sphere, in every step.
        n: Number of pictures, at least 2, with both ends.
        w: Guidance, float or a pair; None: the preset's own.
        sampler, steps, temperature: See `keras_ddpm.sample`, which draws the two ends with the same preset.
        preset: Name of a shipped preset, or a folder written by train.py.

    Returns:
        uint8 (n, H, W), or (n, H, W, 3) in colour.

    Raises:
        ValueError: for an argument that cannot be used, before any work is done.

    Example:
        >>> keras_ddpm.interpolate((3, 8), seed=5, n=6).shape
        (6, 28, 28)
    """
    n = check_number("n", n, 2)
    sampling = {"sampler": sampler, "steps": steps, "temperature": temperature}
    settings, image_shape, num_classes = _checked(preset, w, sampling)
    label, w, ends = check_request(digit, w, seed, num_classes=num_classes, own=settings.sampling.w)
    if label.shape not in ((), (2,)):
        raise ValueError(f"`digit`, `seed` and `w` must be one each, or pairs. Received the shape {label.shape}")
    label, w, ends = (np.broadcast_to(value, (2,)) for value in (label, w, ends))
    inputs = {"u": np.linspace(0, 1, n, dtype="float32")}
    for i, end in enumerate("ab"):
        inputs |= {f"label_{end}": np.repeat(label[i], n), f"w_{end}": np.repeat(w[i], n)}
        inputs[f"key_{end}"] = noise.split_seed(np.repeat(ends[i], n))
    blended = bool(label[0] != label[1] or w[0] != w[1])
    draw = _interpolation(api.load(preset, **sampling), blended)
    return _without_one_channel(in_batches(draw, inputs, MAX_BATCH), image_shape)


def vary(
    image: Any,
    level: float,
    *,
    digit: Any = None,
    w: Any = None,
    seed: Any = None,
    n: int = 1,
    sampler=None,
    steps=None,
    preset=presets.DEFAULT,
    return_seeds: bool = False,
) -> Any:
    """Draw variations of an image: noise it to a level, and come back.

    Args:
        image: uint8 (H, W), (H, W, 3) in colour, or a batch (N, ...).
        level: Time to go back from, 0 ... 1: at 0 the image stays as it is, at 1 nothing of it counts and the result is
            that of `keras_ddpm.sample` with the same preset; 0.5 to 0.7 keeps the digit and changes the hand.
        digit: int or array of ints; None: unknown, and the network is asked without a label.
        w: Guidance towards the digit; None: the preset's own. Without a digit there is none.
        seed: int or array of ints, the first of each image's `n` seeds; None draws fresh ones.
        n: How many variations of each image.
        sampler, steps: See `keras_ddpm.sample`. Only the steps after `level` are taken.
        preset: Name of a shipped preset, or a folder written by train.py.
        return_seeds: Whether to return the seeds too.

    Returns:
        uint8 (H, W) for one image, (N, H, W) for several; with n > 1 an axis of n before H. Colour images have a last
        axis of 3. With `return_seeds`, a pair of the images and their seeds.

    Raises:
        ValueError: for an argument that cannot be used, before any work is done.

    Example:
        >>> keras_ddpm.vary(keras_ddpm.sample(7), 0.6, n=4).shape
        (4, 28, 28)
    """
    n = check_number("n", n, 1)
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0 <= level <= 1:
        raise ValueError(f"`level` must be in 0..1. Received: {level!r:.60}")
    sampling = {"sampler": sampler, "steps": steps}
    settings, image_shape, num_classes = _checked(preset, None, sampling)
    x = source_images.check_image(image, image_shape, of="as the preset draws")
    rows = source_images.check_label(digit, w, seed, sampling=settings.sampling, num_classes=num_classes)
    first = rows.pop("seed")
    lead = source_images.lead_of(rows, {"image": (x, 3)})
    seeds = source_images.seeds_of(first, lead, n)
    images = source_images.spread(x, 3, lead, n)
    if level > 0:
        inputs = {name: source_images.spread(value, 0, lead, n) for name, value in rows.items()}
        inputs |= {"x": to_float(images), "key": noise.split_seed(seeds.reshape(-1))}
        images = in_batches(_variation(api.load(preset, **sampling), float(level)), inputs, MAX_BATCH)
    shape = lead if n == 1 else (*lead, n)
    images = _without_one_channel(images.reshape(*shape, *image_shape), image_shape)
    return (images, seeds.reshape(shape)) if return_seeds else images


def film(
    digit: Any,
    w: Any = None,
    *,
    seed: Any = None,
    sampler=None,
    steps=None,
    temperature: float | None = None,
    preset=presets.DEFAULT,
    progress=None,
    **attributes: Any,
) -> np.ndarray:
    """Draw images with all the states that they go through, from noise to the picture.

    Args:
        digit, w, seed, sampler, steps, temperature, progress, **attributes: See `keras_ddpm.sample`, which draws
            the last frame with the same preset.
        preset: Name of a shipped preset, or a folder written by train.py.

    Returns:
        uint8 (frames, H, W) for one image, else (N, frames, H, W); one frame more than steps. Colour images have a last
        axis of 3.

    Raises:
        ValueError: for an argument that cannot be used, before any work is done.

    Example:
        >>> keras_ddpm.film(7).shape
        (21, 28, 28)
    """
    sampling = {"sampler": sampler, "steps": steps, "temperature": temperature}
    settings, image_shape, num_classes = _checked(preset, w, sampling)
    conditions = conditions_of(num_classes, settings.data.attributes)
    digit, w, seed, others = check_asked(digit, w, seed, attributes, conditions=conditions, own=settings.sampling.w)
    others = {name: value.reshape(-1) for name, value in others.items()}
    generator = api.load(preset, **sampling)
    given = (value.reshape(-1) for value in (digit, w, seed))
    states = generator.trajectory(*given, every=1, progress=progress, **others)[1]  # (N, S + 1, H, W, C)
    return _without_one_channel(to_uint8(states).reshape(*digit.shape, *states.shape[1:]), image_shape)


def slerp(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    """Spherical interpolation: a, b (B, H, W, C) and u (B, 1, 1, 1) in [0, 1] -> (B, H, W, C); a at 0, b at 1."""

    def dot(x, y):
        return ops.sum(x * y, axis=(1, 2, 3), keepdims=True)

    cosine = dot(a, b) / ops.sqrt(dot(a, a) * dot(b, b))
    angle = ops.arccos(ops.clip(cosine, -1.0 + 1e-6, 1.0 - 1e-6))
    return (ops.sin((1.0 - u) * angle) * a + ops.sin(u * angle) * b) / ops.sin(angle)


def blend(a: Denoiser, b: Denoiser, u: Tensor) -> Denoiser:
    """A denoiser between two: (1 - u) x_0^a + u x_0^b, u (B, 1, 1, 1)."""
    return lambda x_t, t: (1.0 - u) * a(x_t, t) + u * b(x_t, t)


@functools.lru_cache(maxsize=8)
def _interpolation(generator, blended) -> Callable:
    """Rows of u, and label, w and key of both ends -> uint8 images."""

    def draw(rows):
        u = ops.reshape(rows["u"], (-1, 1, 1, 1))
        denoise = generator.denoiser({"label": rows["label_a"]}, rows["w_a"])
        if blended:
            denoise = blend(denoise, generator.denoiser({"label": rows["label_b"]}, rows["w_b"]), u)
        between = lambda step: slerp(*(generator.noise(rows[key], step) for key in ("key_a", "key_b")), u)  # noqa: E731
        drawn = samplers.loop(denoise, generator.start(between(0)), generator.times, generator.columns, noise=between)
        return to_uint8(generator.codec.decode(drawn))

    return compiled(draw, model=generator)


@functools.lru_cache(maxsize=16)
def _variation(generator, level) -> Callable:
    """Rows of x, label, w and key -> uint8 images."""
    schedule = generator.diffusion.schedule
    start = snap(schedule, np.float64(level))
    times = np.append(start, generator.times[generator.times < start])
    columns = samplers.coefficients(generator.sampler, schedule, times)
    # At 1 it starts where `sample` does: a schedule may leave a little of the image.
    alpha, sigma = schedule(start) if level < 1 else (0.0, generator.temperature)

    def draw(rows):
        between = functools.partial(generator.noise, rows["key"])
        x_t = float(alpha) * generator.codec.encode(rows["x"]) + float(sigma) * between(0)
        denoise = generator.denoiser({"label": rows["label"]}, rows["w"])
        return to_uint8(generator.codec.decode(samplers.loop(denoise, x_t, times, columns, noise=between)))

    return compiled(draw, model=generator)


def _checked(preset, w, sampling):
    """The preset's settings, if what is asked for goes with them."""
    found = api.settings_of(preset)
    if found[0].sampling.guidance == "none":
        check_baked_w(w, found[0].sampling.w)
    presets.with_sampling(found[0], **sampling)
    return found


def _without_one_channel(images, image_shape):
    return images[..., 0] if image_shape[-1] == 1 else images
