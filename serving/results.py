"""What a client hands back: arrays, with the seeds that draw them again, and pictures for people."""

import math
import os
import pathlib
from typing import NamedTuple

import numpy as np

from serving.errors import wrong


class Drawn(NamedTuple):
    """Images and the seeds they came from: `images, seeds = client.sample(7)`.

    Args:
        images: uint8 (N, H, W), or (N, H, W, 3) in colour.
        seeds: int64 (N,).
    """

    images: np.ndarray
    seeds: np.ndarray

    def pil(self):
        """A list of N PIL images."""
        from PIL import Image

        return [Image.fromarray(image) for image in self.images]

    def grid(self, *, columns=None, scale=1, gap=2):
        """All images on one white page, row after row.

        Args:
            columns: Images in a row; None: about as many as rows.
            scale: Each pixel becomes scale x scale pixels.
            gap: White pixels between images.

        Returns:
            One PIL image.

        Raises:
            InvalidRequest: if a number is not positive.
        """
        from PIL import Image

        columns = math.ceil(math.sqrt(len(self.images))) if columns is None else columns
        for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
            if value < least:
                raise wrong(name, f"at least {least}", value)
        tiles = self.pil()
        width, height = (size * scale for size in tiles[0].size)
        rows = math.ceil(len(tiles) / columns)
        size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
        page = Image.new(tiles[0].mode, size, "white")
        for i, tile in enumerate(tiles):
            row, column = divmod(i, columns)
            large = tile.resize((width, height), Image.Resampling.NEAREST)
            page.paste(large, (column * (width + gap), row * (height + gap)))
        return page


class Encoded(NamedTuple):
    """PNG files and the seeds they came from.

    Args:
        png: List of N bytes.
        seeds: int64 (N,).
    """

    png: list[bytes]
    seeds: np.ndarray


class Trajectory(NamedTuple):
    """The way from noise to images.

    Args:
        x_t: float32 (N, K, H, W, C), the states.
        t: int32 (N, K), their times, from T - 1 down to -1 (clean).
        seeds: int64 (N,).
    """

    x_t: np.ndarray
    t: np.ndarray
    seeds: np.ndarray


class Denoised(NamedTuple):
    """What one guided network call says.

    Args:
        eps: float32 (N, H, W, C), the noise in x_t.
        x_0: float32 (N, H, W, C), the clean image.
    """

    eps: np.ndarray
    x_0: np.ndarray


def check_writable(path):
    """Fail before any work is done if a file cannot be written.

    Raises:
        OSError: naming the path.
    """
    path = pathlib.Path(path)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f"Cannot write {str(path)!r}: its folder must exist and be writable, and it must not be a folder")


def write_png(path, image):
    """Write one PIL image, completely or not at all."""
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        image.save(partial, format="PNG")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
