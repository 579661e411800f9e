"""Restoring in one line: `keras_ddpm.restore(image, mask=mask)`."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import api, presets
from keras_ddpm import noise as noises
from keras_ddpm.backends.compiled import compiled, in_batches
from keras_ddpm.checks import source_images
from keras_ddpm.checks.sampling import check_number
from keras_ddpm.data.pixels import to_float, to_uint8
from keras_ddpm.restoration import operators, projection, request

MAX_BATCH = 256


def restore(
    image: Any,
    *,
    mask: Any = None,
    scale: int | None = None,
    operator: operators.Operator | None = None,
    digit: Any = None,
    w: Any = None,
    seed: Any = None,
    n: int = 1,
    noise: float = 0.0,
    steps: int | None = None,
    repeats: int | None = None,
    preset=presets.DEFAULT,
    progress=None,
    return_seeds: bool = False,
) -> Any:
    """Draw images that agree with what is left of one.

    Exactly one of `mask`, `scale` and `operator` says what is left. Image i depends on its own measurement, digit, w
    and seed (and the preset, steps and repeats) and on nothing else. Where `noise` is 0, known pixels come back as they
    are.

    Args:
        image: uint8 (H, W), or (H, W, 3) for a preset in colour; with `scale` the small picture, (H / scale, W /
            scale); with `operator` what A returns, uint8 or float in [-1, 1]. Or a batch of N, (N, ...).
        mask: True, 1 or 255 where a pixel is missing, else False or 0: (H, W), or one for each image, (N, H, W).
        scale: Side of the square whose average a pixel of `image` is: for 28 pixels 2, 4, 7, 14 or 28.
        operator: Any linear measurement, an `operators.Operator`, such as `operators.colorization()`.
        digit: int or array of ints, 0 ... 9 (or the preset's number of classes). None: unknown; the network is then
            asked without a label, which it must have been trained for.
        w: Guidance towards the digit, float or array. None: the preset's own. Without a digit there is none.
        seed: int or array of ints in 0 ... 2^63 - 1, the first of each image's `n` seeds; None draws fresh ones.
        n: How many restorations of each image, with the seeds seed, seed + 1, ...
        noise: Standard deviation of the noise in `image`, grey levels of 0 ... 255, >= 0. Above 0 known pixels are
            drawn too, near what they were.
        steps: Number of noise levels to visit; None: `projection.STEPS`.
        repeats: How often to visit each: more agree better with what is known, and take longer. None:
            `projection.REPEATS`, or 1 for a model of few steps.
        preset: Name of a shipped preset, or a folder written by train.py.
        progress: Called with the number of images drawn after each batch.
        return_seeds: Whether to return the seeds too.

    Returns:
        uint8 (H, W) for one image, (N, H, W) for a batch, or for arrays of digits, w or seeds, which broadcast like
        NumPy's; with n > 1 an axis of n before H. Colour images have a last axis of 3. With `return_seeds`, a pair of
        the images and their seeds, int64 of the same leading shape.

    Raises:
        ValueError: before any work is done, naming the argument that cannot be used.
        RuntimeError: inside a graph being traced.

    Example:
        >>> mask = np.zeros((28, 28), bool)
        >>> mask[14:] = True
        >>> keras_ddpm.restore(keras_ddpm.sample(7), mask=mask, n=4).shape
        (4, 28, 28)

    Reference: See `restoration.projection`.
    """
    request.check_one(mask=mask, scale=scale, operator=operator)
    n, noise = check_number("n", n, 1), request.check_noise(noise)
    settings, image_shape, num_classes = api.settings_of(preset)
    presets.check_pixels(settings, "Restoration works")
    usual = projection.usual_repeats(settings.sampling)
    repeats = usual if repeats is None else check_number("repeats", repeats, 1)
    kind, measured = _measurement(image, mask, scale, operator, image_shape)
    rows = source_images.check_label(digit, w, seed, sampling=settings.sampling, num_classes=num_classes)
    first = rows.pop("seed")
    lead = source_images.lead_of(rows, measured)
    seeds = source_images.seeds_of(first, lead, n)
    rows["noise"] = np.float32(noise / 127.5)
    draw = graph(api.load(preset), kind, steps, repeats)
    inputs = {name: source_images.spread(value, 0, lead, n) for name, value in rows.items()}
    inputs |= {name: source_images.spread(value, axes, lead, n) for name, (value, axes) in measured.items()}
    images = in_batches(draw, inputs | {"key": noises.split_seed(seeds.reshape(-1))}, MAX_BATCH, progress=progress)
    H, W, C = image_shape
    shape = lead if n == 1 else (*lead, n)
    images = images.reshape((*shape, H, W) if C == 1 else (*shape, H, W, C))
    return (images, seeds.reshape(shape)) if return_seeds else images


def _measurement(image, mask, scale, operator, image_shape):
    """What makes the operator in the graph, and dict of its inputs: arrays, and how many axes one of them has."""
    H, W, C = image_shape
    if mask is not None:
        y = source_images.check_image(image, image_shape, of="as the preset draws")
        return operators.inpainting, {"y": (to_float(y), 3), "known": (request.check_mask(mask, image_shape), 3)}
    if scale is not None:
        scale = request.check_scale(scale, image_shape)
        y = source_images.check_image(image, (H // scale, W // scale, C), of=f"1 / {scale} of the preset's {H} x {W}")
        return operators.super_resolution(scale), {"y": (to_float(y), 3)}
    shape = request.check_operator(operator, image_shape)
    y = source_images.check_image(image, shape, of="as A of the operator returns it", floats=True)
    y = to_float(y) if y.dtype == np.uint8 else y.astype("float32")
    return operators.Operator(*operator), {"y": (y, len(shape))}


@functools.lru_cache(maxsize=16)
def graph(generator: Any, kind: Any, steps: int | None, repeats: int) -> Callable:
    """A function from rows to uint8 (B, H, W, C), in one graph; kept for each kind of measurement.

    Args:
        generator: `Generator`.
        kind: `operators.inpainting`, or an `Operator`.
        steps, repeats: See `projection.times_of`.

    Returns:
        Function of a dict of label, w, key, y, noise and, for a mask, known.
    """
    times = projection.times_of(generator.diffusion.schedule, steps, repeats)

    def draw(rows):
        operator = kind(rows["known"]) if kind is operators.inpainting else kind
        drawn = projection.draw(
            generator,
            {"label": rows["label"]},
            rows["w"],
            rows["key"],
            operator=operator,
            y=rows["y"],
            noise=rows["noise"],
            times=times,
        )
        return to_uint8(drawn)

    return compiled(draw, model=generator.network)
