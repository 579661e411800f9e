"""Where a generator is asked for images: each is drawn once, the first ones with the whole path they take.

The path of the first images serves twice: as frames, in which a classifier reads digits, and as traces, whose numbers
tell whether the chain is healthy. All that evaluation knows of a `Generator` is in this file.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_ddpm.data import to_uint8
from keras_ddpm.evaluation.probes.frames import Frames, forward_frames, reverse_frames, spread
from keras_ddpm.evaluation.probes.traces import Traces, quantities

SMALLEST_CHUNK, LARGEST_CHUNK = 32, 256
MOST_STATES = 16_000  # states held at once, so that a thousand steps fit into memory too
MOST_IMAGES, MOST_CHAINS, MOST_STEPS = 200, 64, 50
CONTINUOUS_LEVELS = 1000
Progress = Callable[[int], Any] | None


class Drawn(NamedTuple):
    """images uint8 (n, H, W, C); frames by name (`forward`, `reverse`, `estimate`); traces, None if not wanted."""

    images: np.ndarray
    frames: dict[str, Frames]
    traces: Traces | None


def draw(
    generator, labels: np.ndarray, w: np.ndarray, *, seed: int, real: tuple | None = None, progress: Progress = None
) -> Drawn:
    """Draws images, and on request the process of the first ones.

    Args:
        generator: `Generator`.
        labels: int (n,), the digits to draw.
        w: float (n,), their guidance.
        seed: Seed of the first image; the others follow.
        real: `(images, labels)` to add noise to in the forward process; None if the process is not wanted.
        progress: Called with the number of images drawn after each chunk; None for nothing.

    Returns:
        `Drawn`.
    """
    arguments = [labels, w, seed + np.arange(len(labels))]
    if real is None:
        return Drawn(draw_images(generator, *arguments, progress=progress), {}, None)
    followed = count_images(len(labels), len(generator.times))
    first, rest = ([array[rows] for array in arguments] for rows in (slice(followed), slice(followed, None)))
    path = draw_path(generator, *first, progress=progress)
    parts = [to_uint8(path["image"])]
    if len(rest[0]):
        parts.append(draw_images(generator, *rest, progress=progress))
    pictures = {name: generator.decoded(path[name]) for name in ("x_T", "x_s", "x_0")}
    frames = reverse_frames(pictures, first[0], times=generator.times)
    images, digits = (array[:MOST_IMAGES] for array in real)
    shape = path["x_T"].shape[1:]
    frames["forward"] = forward_frames(
        images, digits, noised(generator), shape=shape, levels=levels(generator), seed=seed
    )
    return Drawn(np.concatenate(parts), frames, follow(generator, path, first[0], first[1]))


def count_images(n: int, steps: int) -> int:
    """How many of n images are drawn with their whole path."""
    return max(1, min(n, MOST_IMAGES, MOST_STATES // steps))


def draw_images(generator, labels, w, seeds, *, progress: Progress = None) -> np.ndarray:
    """uint8 images (N, H, W, C), in chunks so small that `progress` moves."""
    return to_uint8(_in_chunks(generator.sample, labels, w, seeds, progress=progress)["image"])


def draw_path(generator, labels, w, seeds, *, progress: Progress = None) -> dict[str, np.ndarray]:
    """What `generator.path` returns: x_T (N, H, W, C), x_s and x_0 (N, S, H, W, C). In chunks, like `draw_images`."""
    return _in_chunks(generator.path, labels, w, seeds, progress=progress)


def follow(generator, path: dict[str, np.ndarray], labels: np.ndarray, w: np.ndarray) -> Traces:
    """The traces of the first chains of a path that was drawn already."""
    few = slice(max(1, min(MOST_CHAINS, MOST_STATES // len(generator.times))))
    kept = spread(len(generator.times), most=MOST_STEPS)
    values = quantities(
        {name: array[few] for name, array in path.items()},
        kept=kept,
        times=generator.times,
        alpha_sigma=generator.diffusion.alpha_sigma(generator.times),
        columns=generator.columns,
        estimate=unthresholded(generator, labels[few], w[few]),
    )
    return Traces(values, readable_times(generator)[kept], alpha_bar_end(generator.diffusion))


def noised(generator) -> Callable:
    """Function (x_0, eps, t) -> x_t of images (N, H, W, C), and of noise of the shape of what is diffused."""

    def add(x_0, eps, t):
        return generator.decoded(np.asarray(generator.diffusion.add_noise(generator.encoded(x_0), eps, t)))

    return add


def levels(generator) -> int:
    """Number of noise levels; of a continuous schedule, a number to choose frames from."""
    return generator.diffusion.levels or CONTINUOUS_LEVELS


def readable_times(generator) -> np.ndarray:
    """Where the steps start, (S,), as a person reads it: DDPM's index T - 1 ... 0, or t of a continuous schedule."""
    if generator.diffusion.levels is None:
        return generator.times
    return np.round(generator.times * generator.diffusion.levels).astype("int32") - 1


def alpha_bar_end(diffusion) -> float:
    """alpha^2 / (alpha^2 + sigma^2) at t = 1: DDPM's last alpha_bar, and 0 if x_1 is noise alone."""
    alpha, sigma = (float(a) for a in diffusion.schedule(np.float64(1.0)))
    return alpha**2 / (alpha**2 + sigma**2)


def unthresholded(generator, digit: np.ndarray, w: np.ndarray) -> Callable:
    """The guided denoiser (x_t, t) -> x_0 without its threshold."""
    digit, w = np.asarray(digit, "int32"), np.asarray(w, "float32")
    condition = {
        name: np.full(len(digit), null, generator.conditions[name].dtype) for name, null in generator.nulls.items()
    }
    guided = generator.guidance(
        generator.network, generator.diffusion, condition | {"label": digit}, generator.nulls, w
    )
    return lambda x_t, t: guided(x_t, np.float32(t))


def _in_chunks(sample, *arrays, progress):
    """What `sample` returns for all rows, asked for in chunks."""
    size = chunk_size(len(arrays[0]))
    starts = range(0, len(arrays[0]), size)
    parts = [sample(*(array[i : i + size] for array in arrays), progress=progress) for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chunk_size(n: int) -> int:
    """Images asked for at a time: 32 to 256, a power of two, and a sixteenth of n or less in between."""
    return int(np.clip(2 ** int(np.log2(max(1, n / 16))), SMALLEST_CHUNK, LARGEST_CHUNK))
