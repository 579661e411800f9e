"""Sampling in one line: `keras_ddpm.sample(digit, w)`."""

import functools
from typing import Any

import numpy as np

from keras_ddpm import presets, rejection
from keras_ddpm.checks.sampling import check_asked, check_baked_w
from keras_ddpm.data.attributes import conditions_of


def sample(
    digit: Any,
    w: Any = None,
    *,
    seed: Any = None,
    sampler=None,
    steps=None,
    temperature: float | None = None,
    preset=None,
    runtime: str | None = None,
    guide: str | None = None,
    guide_scale: float | None = None,
    best_of: int = 1,
    judge: Any = "classifier",
    progress=None,
    return_seeds: bool = False,
    **attributes: Any,
) -> Any:
    """Draw images of digits.

    Image i depends on its own digit, attributes, w and seed (and the preset, sampler, steps and temperature) and on
    nothing else: it is the same alone, in any batch, and from a server.

    Args:
        digit: int or array of ints, 0 ... 9; of a preset of other data, one of its classes.
        w: Guidance, float or array: 0 ignores the digit, 1 is the conditional model, more is more typical and less
            diverse. None: the preset's own.
        seed: int or array of ints in 0 ... 2^63 - 1; None draws fresh seeds.
        sampler: One of `samplers.SAMPLERS`, such as "ddpm" or "ddim"; None: the preset's own.
        steps: Number of steps, 1 ... T; None: the preset's own.
        temperature: Standard deviation of the noise that drawing starts from: above 1 a few-step model draws more
            varied images, below 1 more typical ones. None: the preset's own.
        preset: Name of a shipped preset, or a folder written by train.py. None: "mnist_fast_v2", which draws in one
            call; or "mnist", if w, sampler, steps or a guide is given.
        runtime: None draws with Keras and TensorFlow (or JAX); "litert", "onnx" or "openvino" without importing them,
            from the file that `python -m export --format` has written beside the weights (see docs/runtimes.md).
        guide: "clip" moves the images up the gradient of CLIP's score of the digit (see `guides`); None: as the preset.
        guide_scale: How far; 0 for not at all, None: the preset's own.
        best_of: Candidates for each image, of which the one that `judge` likes best is returned; see `rejection`.
        judge: "classifier" or "clip", which know MNIST; the folder of another judge, see `keras-ddpm judge`; or a
            function (uint8 (N, H, W, C), digits (N,)) -> scores (N,).
        progress: Called with the number of images drawn after each batch.
        return_seeds: Whether to return the seeds too, which draw the same images again (with `best_of` 1).
        **attributes: What else the preset knows, number or array, such as thickness 0 ... 1 or slant -1 ... 1 (see
            `data.attributes`). One that is left out, or None, is not given: the model chooses.

    Returns:
        The images: uint8 (H, W) if `digit`, `w`, `seed` and all attributes are scalars; else (N, H, W), with N from
        NumPy's broadcasting (any broadcast shape is kept). Colour images have a last axis of 3. With `return_seeds`, a
        pair of the images and their seeds, int64 of the same leading shape.

    Raises:
        ValueError: before any work is done, for a digit, w, seed, sampler, steps, preset, judge or attribute that
            cannot be used, or a runtime that is not installed or has no file of this preset.
        RuntimeError: inside a graph being traced, where the seeds would be frozen; call a `Generator` there.

    Example:
        >>> keras_ddpm.sample(7).shape
        (28, 28)
        >>> keras_ddpm.sample([3, 3, 7], w=2.0, seed=[1, 2, 3]).shape
        (3, 28, 28)
    """
    preset = presets.default_for(w=w, sampler=sampler, steps=steps, guide=guide) if preset is None else preset
    settings, image_shape, num_classes = settings_of(preset)
    if settings.sampling.guidance == "none":
        check_baked_w(w, settings.sampling.w)
    chosen = {"sampler": sampler, "steps": steps, "temperature": temperature}
    chosen |= {"guide": guide, "guide_scale": guide_scale}
    presets.with_sampling(settings, **chosen)
    conditions = conditions_of(num_classes, settings.data.attributes)
    digit, w, seed, others = check_asked(digit, w, seed, attributes, conditions=conditions, own=settings.sampling.w)
    rejection.check(best_of, judge, image_shape, num_classes)
    generator = load(preset, runtime=runtime, **chosen)
    if best_of > 1:
        images, seed = _best(generator, digit, w, seed, others, best_of, judge, progress)
    elif digit.ndim:
        others = {name: value.reshape(-1) for name, value in others.items()}
        images = generator.images(digit.reshape(-1), w.reshape(-1), seed.reshape(-1), progress=progress, **others)
    else:
        images = generator.image(digit[()], w[()], seed[()], **{name: value[()] for name, value in others.items()})
        if progress:
            progress(1)
    H, W, C = image_shape
    images = images.reshape((*digit.shape, H, W) if C == 1 else (*digit.shape, H, W, C))
    return (images, seed) if return_seeds else images


def _best(generator, digit, w, seed, others, best_of, judge, progress):
    """The best candidates (N, H, W, C), and their seeds."""
    seeds = rejection.candidates(seed, best_of).reshape(-1, best_of)
    given = (np.repeat(value.reshape(-1), best_of) for value in (digit, w))
    others = {name: np.repeat(value.reshape(-1), best_of) for name, value in others.items()}
    images = generator.images(*given, seeds.reshape(-1), progress=progress, **others)
    images = images.reshape(*seeds.shape, *images.shape[1:])
    rows, chosen = np.arange(len(seeds)), rejection.best(images, digit.reshape(-1), judge)
    return images[rows, chosen], seeds[rows, chosen].reshape(seed.shape)


def load(preset, *, runtime: str | None = None, **sampling) -> Any:
    """The `Generator` or `runtimes.Drawer` that `sample` draws with; kept until the preset's files change.

    Args:
        preset, runtime: See `sample`.
        **sampling: Fields of `SamplingConfig`; None leaves the preset's own.

    Raises:
        ValueError: see `sample`.
    """
    given = {name: value for name, value in sampling.items() if value is not None}
    return _generator(preset, given) if runtime is None else _drawer(preset, runtime, given)


def settings_of(preset: Any) -> Any:
    """What `presets.read_config` returns, kept until the file changes."""
    file = presets.find(preset) / "config.json"
    return _read(file.resolve(), file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(file, stamp):
    return presets.read_config(file.parent)


def _generator(preset, sampling):
    from keras_ddpm.generator import Generator

    if not Generator.eager():
        raise RuntimeError(
            "`sample` cannot be traced: its seeds would freeze in the graph. Call `load_preset(...)(inputs)` there."
        )
    folder = presets.find(preset)
    return _cached(folder.resolve(), _stamp(folder), **sampling)


def _drawer(preset, runtime, sampling):
    from keras_ddpm import runtimes

    if "guide" in sampling:
        raise ValueError(f"`guide` needs `runtime` None: the others have no gradients. Received: {runtime!r}")

    folder = presets.find(preset)
    file = runtimes.description(folder, runtime)
    stamp = (*_stamp(folder), file.stat().st_mtime_ns if file.exists() else None)
    sampling.pop("guide_scale", None)  # of no guide
    return _cached_drawer(folder.resolve(), runtime, stamp, **sampling)


def _stamp(folder):
    """Changes when a file of the preset does."""
    config = (folder / "config.json").stat().st_mtime_ns
    return config, *(file.stat().st_mtime_ns if file.exists() else None for file in _files(folder.resolve(), config))


@functools.lru_cache(maxsize=8)
def _files(folder, stamp):
    return presets.files(folder)


@functools.lru_cache(maxsize=8, typed=True)
def _cached(preset, stamp, **sampling):
    """A loaded generator is kept until its files change."""
    return presets.load_preset(preset, **sampling)


@functools.lru_cache(maxsize=8, typed=True)
def _cached_drawer(preset, runtime, stamp, **sampling):
    from keras_ddpm import runtimes

    return runtimes.load(preset, runtime, **sampling)
