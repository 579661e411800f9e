"""What the page's buttons do: fields in, pictures and one line of text out.

Each is a function of a source and of what the page's fields hold; a wrong field is a ValueError in one sentence.
"""

import base64
import pathlib
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_ddpm.checks.sampling import MAX_SEED, fresh_seeds, steps_in_words
from keras_ddpm.data.pictures import grid, write_gif
from keras_ddpm.demo.sources import Source

MAX_IMAGES = 16
MAX_STEPS = 100
SIDE = 280  # pixels of one large image
FILM = 3000  # milliseconds
UNKNOWN = "unknown"


def draw(
    source: Source,
    preset: str,
    digit: int,
    n: float,
    w: str,
    seed: str,
    steps: str,
    attributes: Mapping[str, float] | None = None,
) -> tuple[np.ndarray, str]:
    """Draw n images of a digit, with seeds that follow each other, and with the attributes that are asked for.

    Returns:
        The page of images uint8 (rows, width), and a line about it.

    Raises:
        ValueError: for a field that cannot be used.
    """
    count = _whole("Images", n, 1, MAX_IMAGES)
    seeds = _seeds(seed, count)
    strength, calls = _w(w), _steps(steps)
    start = time.perf_counter()
    images = source.sample(preset, np.full(count, int(digit)), strength, seeds, calls, **(attributes or {}))
    seconds = time.perf_counter() - start
    return _sheet(images), ", ".join([_seeds_in_words(seeds), *_attributes_in_words(attributes), in_words(seconds)])


def compare(
    source: Source, preset: str, other: str, digit: int, n: float, seed: str
) -> tuple[np.ndarray, str, np.ndarray, str]:
    """Draw the same digits and seeds with two presets, each with its own settings: two pages, and their lines."""
    seed = str(_seeds(seed, 1)[0])
    return *draw(source, preset, digit, n, "", seed, ""), *draw(source, other, digit, n, "", seed, "")


def film(
    source: Source,
    preset: str,
    digit: int,
    w: str,
    seed: str,
    steps: str,
    attributes: Mapping[str, float] | None = None,
) -> tuple[str, str]:
    """The way from noise to a digit, with the attributes that are asked for.

    Returns:
        HTML with a moving picture, and a line about it.

    Raises:
        ValueError: for a field that cannot be used.
    """
    (first,), strength, calls = _seeds(seed, 1), _w(w), _steps(steps)
    start = time.perf_counter()
    states = source.film(preset, int(digit), strength, first, calls, **(attributes or {}))
    seconds = time.perf_counter() - start
    text = f"Noise becomes a {digit} in {steps_in_words(len(states) - 1)}, seed {first}"
    picture = base64.b64encode(gif(states)).decode()
    html = f'<img class="film" width="{SIDE}" height="{SIDE}" alt="{text}" src="data:image/gif;base64,{picture}">'
    facts = [steps_in_words(len(states) - 1), f"seed {first}", *_attributes_in_words(attributes), in_words(seconds)]
    return html, ", ".join(facts)


def canvas(source: Source, preset: str, digit: int, seed: str) -> tuple[np.ndarray, np.ndarray]:
    """An image to paint over: itself, uint8 (H, W) or (H, W, 3), and as large as the painter's canvas."""
    image = _flat(source.sample(preset, np.array([int(digit)]), None, _seeds(seed, 1), None)[0])
    rows, columns = (np.arange(SIDE) * size // SIDE for size in image.shape[:2])
    return image, image[rows[:, None], columns[None]]


def restore(
    source: Source, preset: str, image: np.ndarray | None, painted: dict, digit: Any, n: float, seed: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Draw anew what was painted over, n times.

    Args:
        source: Who restores.
        preset: Name of a preset.
        image: uint8 (H, W) or (H, W, 3), what is known of it.
        painted: What Gradio's painter returns: its layers' alpha says where the brush was.
        digit: A class, or "unknown".
        n: 1 ... 16.
        seed: Of the first, or "" for fresh ones.

    Returns:
        The damaged image and the page of restored ones, enlarged, and a line about them.

    Raises:
        ValueError: for a field that cannot be used, or if nothing was painted.
    """
    count = _whole("Images", n, 1, MAX_IMAGES)
    if image is None:
        raise ValueError("There is no digit yet: draw one first.")
    mask = mask_of(painted, image.shape[:2])
    if not mask.any():
        raise ValueError("Nothing is painted over yet: paint over a part of the digit.")
    seeds = _seeds(seed, count)
    start = time.perf_counter()
    label = None if digit == UNKNOWN else int(digit)
    restored = source.restore(preset, image, mask, label, seeds)
    seconds = time.perf_counter() - start
    colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
    damaged = np.where(mask[..., None], (178, 60, 50), colours)
    share = f"{100 * mask.mean():.0f} % painted over"
    words = f"{_seeds_in_words(seeds)}, {share}, {in_words(seconds)}"
    restored = restored[..., None] if image.ndim == 2 else restored
    return enlarged(damaged.astype("uint8")), _sheet(restored), words


def mask_of(painted: dict, shape: tuple[int, ...]) -> np.ndarray:
    """Where the brush was: True for a pixel of which a quarter is painted; bool (H, W)."""
    mask = np.zeros(shape, bool)
    for layer in (painted or {}).get("layers") or []:
        alpha = np.asarray(layer)[..., 3] > 127
        rows, columns = (np.arange(size) * side // size for size, side in zip(alpha.shape, shape))
        hits, total = np.zeros(shape), np.zeros(shape)
        np.add.at(hits, (rows[:, None], columns[None]), alpha)
        np.add.at(total, (rows[:, None], columns[None]), 1)
        mask |= hits >= 0.25 * np.maximum(total, 1)
    return mask


def gif(frames: np.ndarray) -> bytes:
    """An endless GIF of frames uint8 (K, H, W, C), enlarged, the last one held."""
    pages = [enlarged(_flat(frame)) for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "film.gif"
        write_gif(path, np.stack(pages), milliseconds=max(20, FILM // len(pages)))
        return path.read_bytes()


def enlarged(image: np.ndarray) -> np.ndarray:
    """An image (H, W) or (H, W, 3) with pixels as large as fit into `SIDE`."""
    scale = max(1, SIDE // image.shape[0])
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _flat(image):
    """(H, W, 1) -> (H, W); colours stay."""
    return image[..., 0] if image.shape[-1] == 1 else image


def in_words(seconds: float) -> str:
    """A time with the digits that matter."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _sheet(images):
    """One large image, or four in a row."""
    columns = 1 if len(images) == 1 else 4
    return grid(images, columns=columns, scale=max(1, SIDE // images.shape[1] // (1 if columns == 1 else 2)))


def _seeds(text, count):
    """Seeds from a field that may be empty; Python integers, since too large a seed is an error and no wrap."""
    text = str(text or "").strip()
    if not text:
        text = str(int(fresh_seeds(())) % 2**32)
    if not text.isascii() or not text.isdigit() or int(text) + count - 1 > MAX_SEED:
        raise ValueError(f"The seed must be a whole number from 0 to {MAX_SEED - count + 1}. Received: {text[:40]!r}")
    return [int(text) + i for i in range(count)]


def _seeds_in_words(seeds):
    return f"Seed {seeds[0]}" if len(seeds) == 1 else f"Seeds {seeds[0]} to {seeds[-1]}"


def _attributes_in_words(attributes):
    return [f"{name} {value:g}" for name, value in (attributes or {}).items()]


def _w(text):
    try:
        return float(text) if str(text or "").strip() else None
    except ValueError as error:
        raise ValueError(f"Guidance w must be a number, or empty. Received: {text[:40]!r}") from error


def _steps(text):
    text = str(text or "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"Steps must be a whole number, or empty. Received: {text[:40]!r}")
    return _whole("Steps", int(text), 1, MAX_STEPS)


def _whole(name, value, least, most):
    if value is None or value != int(value) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}. Received: {value}")
    return int(value)
