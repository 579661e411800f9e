"""Sampling in one line: `keras_ddpm.sample(digit, w)`."""

import functools
from typing import Any

from keras_ddpm import presets
from keras_ddpm.sampling_request import check_baked_w, check_request


def sample(
    digit: Any,
    w: Any = None,
    *,
    seed: Any = None,
    sampler=None,
    steps=None,
    preset="mnist",
    progress=None,
    return_seeds: bool = False,
) -> Any:
    """Draw images of digits.

    Image i depends on its own digit, w and seed (and the preset, sampler and steps) and on nothing else: it is the same
    alone, in any batch, and from a server.

    Args:
        digit: int or array of ints, 0 ... 9 (or the preset's number of classes).
        w: Guidance, float or array: 0 ignores the digit, 1 is the conditional model, more is more typical and less
            diverse. None: the preset's own.
        seed: int or array of ints in 0 ... 2^63 - 1; None draws fresh seeds.
        sampler: One of `samplers.SAMPLERS`, such as "ddpm" or "ddim"; None: the preset's own.
        steps: Number of steps, 1 ... T; None: the preset's own.
        preset: Name of a shipped preset, or a folder written by train.py.
        progress: Called with the number of images drawn after each batch.
        return_seeds: Whether to return the seeds too, which draw the same images again.

    Returns:
        The images: uint8 (H, W) if all of `digit`, `w` and `seed` are scalars; else (N, H, W), with N from NumPy's
        broadcasting (any broadcast shape is kept). Colour images have a last axis of 3. With `return_seeds`, a pair of
        the images and their seeds, int64 of the same leading shape.

    Raises:
        ValueError: before any work is done, for a digit, w, seed, sampler, steps or preset that cannot be used.
        RuntimeError: inside a graph being traced, where the seeds would be frozen; call a `Generator` there.

    Example:
        >>> keras_ddpm.sample(7).shape
        (28, 28)
        >>> keras_ddpm.sample([3, 3, 7], w=2.0, seed=[1, 2, 3]).shape
        (3, 28, 28)
    """
    settings, image_shape, num_classes = presets.read_config(preset)
    if settings.sampling.guidance == "none":
        check_baked_w(w, settings.sampling.w)
    presets.with_sampling(settings, sampler=sampler, steps=steps)
    digit, w, seed = check_request(digit, w, seed, num_classes=num_classes, own=settings.sampling.w)
    from keras_ddpm.data import to_uint8
    from keras_ddpm.generator import Generator

    if not Generator.eager():
        raise RuntimeError(
            "`sample` cannot be traced: its seeds would freeze in the graph. Call `load_preset(...)(inputs)` there."
        )
    generator = _generator(preset, sampler, steps)
    drawn = generator.sample(digit.reshape(-1), w.reshape(-1), seed.reshape(-1), progress=progress)
    H, W, C = image_shape
    images = to_uint8(drawn["image"]).reshape((*digit.shape, H, W) if C == 1 else (*digit.shape, H, W, C))
    return (images, seed) if return_seeds else images


def _generator(preset, sampler, steps):
    folder = presets.find(preset)
    files = (folder / "config.json", presets.weights_file(folder))
    stamp = tuple(file.stat().st_mtime_ns for file in files if file.exists())
    return _cached(folder.resolve(), sampler, steps, stamp)


@functools.lru_cache(maxsize=8, typed=True)
def _cached(preset, sampler, steps, stamp):
    """A loaded generator is kept until its files change."""
    return presets.load_preset(preset, sampler=sampler, steps=steps)
