"""The one-line door: `keras_ddpm.sample(digit, w)`."""

import functools

import numpy as np

from keras_ddpm import presets

MAX_SEED = 2**63 - 1


def sample(digit, w=None, *, seed=None, sampler=None, steps=None, preset="mnist", progress=None):
    """Draw images of digits.

    Image i depends on its own digit, w and seed (and the preset, sampler and steps) and on nothing else: it is the same
    alone, in any batch, and from a server.

    Args:
        digit: int or array of ints, 0 ... 9 (or the preset's number of classes).
        w: Guidance, float or array: 0 ignores the digit, 1 is the conditional model, more is more typical and less
            diverse. None: the preset's own.
        seed: int or array of ints in 0 ... 2^63 - 1; None draws fresh seeds.
        sampler: "ddpm", "ddim" or "dpm_solver_pp_2m"; None: the preset's own.
        steps: Number of steps, 1 ... T; None: the preset's own.
        preset: Name of a shipped preset, or a folder written by train.py.
        progress: Called with the number of images drawn after each batch.

    Returns:
        uint8 (H, W) if all of `digit`, `w` and `seed` are scalars; else (N, H, W), with N from NumPy's broadcasting
        (any broadcast shape is kept). Colour images have a last axis of 3.

    Raises:
        ValueError: before any work is done, for a digit, w, seed, sampler, steps or preset that cannot be.
        RuntimeError: inside a graph being traced, where the seeds would be frozen; call a `Generator` there.

    Example:
        >>> keras_ddpm.sample(7).shape
        (28, 28)
        >>> keras_ddpm.sample([3, 3, 7], w=2.0, seed=[1, 2, 3]).shape
        (3, 28, 28)
    """
    settings, image_shape, num_classes = presets.read_config(preset)
    digit = _integers(digit, "digit", num_classes - 1)
    w = np.asarray(settings.sampling.w if w is None else w)
    if w.dtype.kind not in "iuf" or not np.all(np.isfinite(w.astype("float32"))):
        raise ValueError(f"`w` must be finite numbers. Received: {w.tolist()!r}")
    if seed is not None:
        seed = _integers(seed, "seed", MAX_SEED)
    shape = _broadcast(digit, w, np.zeros(()) if seed is None else seed)
    if seed is None:
        seed = fresh_seeds(shape)
    generator = _generator(preset, sampler, steps)
    if not generator.eager():
        raise RuntimeError(
            "`sample` cannot be traced: its seeds would freeze in the graph. Call `load_preset(...)(inputs)` there."
        )
    flat = [np.broadcast_to(a, shape).reshape(-1) for a in (digit, w, seed)]
    from keras_ddpm.data import to_uint8

    images = to_uint8(generator.sample(*flat, progress=progress)["image"])
    H, W, C = image_shape
    return images.reshape((*shape, H, W) if C == 1 else (*shape, H, W, C))


def fresh_seeds(shape):
    """Seeds that were never used: int64 of the given shape, 0 ... 2^63 - 1."""
    return np.random.default_rng().integers(0, MAX_SEED, size=shape, endpoint=True)


def _generator(preset, sampler, steps):
    weights = presets.find(preset) / presets.WEIGHTS
    stamp = weights.stat().st_mtime_ns if weights.exists() else None
    return _cached(str(preset), sampler, steps, stamp)


@functools.lru_cache(maxsize=8)
def _cached(preset, sampler, steps, stamp):
    return presets.load_preset(preset, sampler=sampler, steps=steps)


def _integers(value, name, largest):
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or np.any(array < 0) or np.any(array > largest):
        top = "2^63 - 1" if largest == MAX_SEED else largest
        raise ValueError(f"`{name}` must be in 0..{top}, an integer or an array of them. Received: {value!r}")
    return array


def _broadcast(digit, w, seed):
    try:
        return np.broadcast_shapes(digit.shape, w.shape, seed.shape)
    except ValueError as error:
        raise ValueError(
            f"`digit`, `w` and `seed` must broadcast together. Received shapes: {digit.shape}, {w.shape}, {seed.shape}"
        ) from error
