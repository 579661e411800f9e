"""The loop in NumPy around a network in some runtime: what `Generator` draws, to a grey level."""

import concurrent.futures
import functools
import os
import pathlib
import threading
from collections.abc import Mapping

import numpy as np

from keras_ddpm import noise, presets
from keras_ddpm.conditions import Condition
from keras_ddpm.config import choose
from keras_ddpm.data.attributes import conditions_of
from keras_ddpm.data.pixels import to_uint8
from keras_ddpm.runtimes import files, numpy_ops
from keras_ddpm.runtimes.engines import check_installed, engine
from keras_ddpm.runtimes.steps import Steps, steps_of

ROWS = 32
"""Rows that share one call of NumPy: more would leave the cache."""


class Drawer:
    """Draws like a `Generator`, by `images` and `image`.

    Args:
        contents: Content of a runtime's files.
        runtime: One of `engines.ENGINES`.
        steps: `Steps`.
        image_shape: (H, W, C).
        conditions: The network's.

    Raises:
        ValueError: if the runtime cannot read the content.
    """

    def __init__(
        self,
        contents: list[bytes],
        runtime: str,
        *,
        steps: Steps,
        image_shape: tuple[int, int, int],
        conditions: Mapping[str, Condition],
    ):
        self.steps, self.image_shape, self.conditions = steps, image_shape, conditions
        self.null = self._complete({}, 1)
        self.threshold = choose(THRESHOLDS, steps.threshold, "threshold")
        self._open = functools.partial(engine(runtime).open, *contents)
        self._of_thread = threading.local()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        try:
            self._network()
        except Exception as error:  # each runtime has errors of its own
            raise ValueError(
                f"`runtime` {runtime!r} cannot read its file: {' '.join(str(error).split())[:200]}"
            ) from error

    def image(self, digit, w, seed, **others) -> np.ndarray:
        """One image, uint8 (H, W, C), of one of each; see `images`."""
        return self.images([digit], np.array([w], "float32"), np.array([seed]), **others)[0]

    def images(self, digit, w, seed, *, progress=None, **others) -> np.ndarray:
        """Images, uint8 (N, H, W, C), of digits, w, seeds and attributes that are checked already.

        Args:
            digit, w, seed: (N,).
            progress: Called with the number of images drawn after each batch.
            **others: The attributes, (N,) or one for all; NaN, and one that is left out, is not given.

        Raises:
            ValueError: for an attribute that the network does not know.
        """
        count = len(digit)
        condition = self._complete({"label": digit, **others}, count)
        size = max(1, min(ROWS, -(-count // _cores())))
        batches = [slice(start, start + size) for start in range(0, count, size)]
        each = map if len(batches) == 1 or _cores() == 1 else self._threads().map
        parts: list[np.ndarray] = []
        for part in each(lambda rows: self._draw(_rows(condition, rows), w[rows], seed[rows]), batches):
            parts.append(part)
            if progress:
                progress(len(part))
        return np.concatenate(parts)

    def _complete(self, given, count):
        """The condition (count,), with the null of each entry that is left out."""
        if unknown := set(given) - set(self.conditions):
            raise ValueError(f"`others` must be of {sorted(self.conditions)}. Received: {sorted(unknown)}")
        values = {name: np.asarray(given.get(name, kind.null), kind.dtype) for name, kind in self.conditions.items()}
        return {name: np.broadcast_to(value, count) for name, value in values.items()}

    def _draw(self, condition, w, seed):
        key, steps = noise.split_seed(seed), self.steps
        x_t, before = np.float32(steps.temperature) * self._noise(key, 0), None
        columns = steps.columns.astype("float32")
        for i, (a, b, c, d) in enumerate(columns):
            x_0 = self._x_0(i, x_t, condition, w)
            x_s = b * x_0
            for factor, value in ((a, x_t), (c, before)):
                if factor:
                    x_s = x_s + factor * value
            if d:
                x_s = x_s + d * self._noise(key, i + 1)
            x_t, before = x_s, x_0
        return to_uint8(x_t)

    def _x_0(self, i, x_t, condition, w):
        network, steps = self._network(), self.steps
        t = steps.t[i : i + 1].astype("float32")
        each = [slice(n, n + 1) for n in range(len(x_t))]
        y = np.concatenate([network({"x_t": x_t[row], "t": t, **_rows(condition, row)}) for row in each])
        if steps.guidance:
            strength = w if steps.guided[i] else np.minimum(w, np.float32(1))
            for n in np.flatnonzero(strength != 1):
                y_null = network({"x_t": x_t[each[n]], "t": t, **self.null})[0]
                y[n] = y_null + strength[n] * (y[n] - y_null)
        return self.threshold(np.float32(steps.from_x[i]) * x_t + np.float32(steps.from_y[i]) * y)

    def _noise(self, key, step):
        return noise.normal(key, step, self.image_shape, ops=numpy_ops)

    def _network(self):
        """The network of this thread: a runtime's state is not to be shared."""
        if not hasattr(self._of_thread, "network"):
            self._of_thread.network = self._open()
        return self._of_thread.network

    def _threads(self):
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(_cores(), thread_name_prefix="keras_ddpm")
        return self._pool


def load(preset, runtime: str, **sampling) -> Drawer:
    """A preset's drawer.

    Args:
        preset: Name of a shipped preset, or path of a folder with config.json and the runtime's files.
        runtime: One of `engines.ENGINES`.
        **sampling: Fields of `SamplingConfig` that replace the preset's own; None leaves them.

    Returns:
        `Drawer`.

    Raises:
        ValueError: for an unknown runtime or one that is not installed, a preset of latents or without its file, a
            damaged file or one of another version, an unknown sampler or wrong steps.

    Example:
        >>> load("mnist_fast", "litert").image(7, 1.0, 0).shape
        (28, 28, 1)
    """
    check_installed(runtime)
    config, image_shape, num_classes = presets.read_config(preset)
    presets.check_pixels(config, "A runtime works")
    steps = steps_of(presets.with_sampling(config, **{k: v for k, v in sampling.items() if v is not None}))
    contents = files.read(pathlib.Path(presets.find(preset)), runtime)
    conditions = conditions_of(num_classes, config.data.attributes)
    return Drawer(contents, runtime, steps=steps, image_shape=image_shape, conditions=conditions)


def _rows(condition, rows):
    return {name: value[rows] for name, value in condition.items()}


def _static(x_0):
    return np.clip(x_0, np.float32(-1), np.float32(1))


def _dynamic(x_0, *, quantile=0.995):
    s = np.quantile(np.abs(x_0), quantile, axis=(1, 2, 3), keepdims=True).astype("float32")
    s = np.maximum(s, np.float32(1))
    return np.clip(x_0, -s, s) / s


THRESHOLDS = {"static": _static, "dynamic": _dynamic, "none": lambda x_0: x_0}
"""`guidance.THRESHOLDS` in NumPy."""


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
