"""What a client hands back: arrays, with the seeds that draw them again, and pictures for people."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .errors import invalid
from .signature import TensorSpec

if TYPE_CHECKING:
    from PIL import Image


def output_specs(signature: str, image_shape: list[int]) -> dict[str, TensorSpec]:
    """What the client promises of a signature's outputs, whatever the server says it gives.

    Args:
        signature: "sample", "sample_png", "trajectory" or "denoise".
        image_shape: Height, width and channels.
    """
    h, w, c = image_shape
    image, states = TensorSpec("float32", (None, h, w, c)), TensorSpec("float32", (None, None, h, w, c))
    return {
        "sample": {"image": TensorSpec("uint8", (None, h, w, c))},
        "sample_png": {"image_bytes": TensorSpec("string", (None,))},
        "trajectory": {"x_t": states, "t": TensorSpec("int32", (None, None))},
        "denoise": {"eps": image, "x_0": image},
    }[signature]


class Drawn(NamedTuple):
    """Images and the seeds they came from: `images, seeds = client.sample(7)`.

    Args:
        images: uint8 (N, H, W), or (N, H, W, 3) in colour.
        seeds: int64 (N,).
    """

    images: np.ndarray
    seeds: np.ndarray

    def pil(self) -> "list[Image.Image]":
        """The N images of Pillow."""
        from PIL import Image

        return [Image.fromarray(image) for image in self.images]

    def grid(self, *, columns: int | None = None, scale: int = 1, gap: int = 2) -> "Image.Image":
        """All images on one white page, row after row.

        Args:
            columns: Images in a row; None: about as many as rows.
            scale: Each pixel becomes scale x scale pixels.
            gap: White pixels between images.

        Raises:
            InvalidRequest: if `columns` or `scale` is below 1, or `gap` below 0.
        """
        from PIL import Image

        columns = math.ceil(math.sqrt(len(self.images))) if columns is None else columns
        for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
            if value < least:
                raise invalid(name, f"at least {least}", value)
        tiles = self.pil()
        width, height = (size * scale for size in tiles[0].size)
        rows = math.ceil(len(tiles) / columns)
        page = Image.new(tiles[0].mode, (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
        for i, tile in enumerate(tiles):
            row, column = divmod(i, columns)
            large = tile.resize((width, height), Image.Resampling.NEAREST)
            page.paste(large, (column * (width + gap), row * (height + gap)))
        return page


class Encoded(NamedTuple):
    """PNG files and the seeds they came from.

    Args:
        png: N files' bytes.
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
    """The result of one guided network call.

    Args:
        eps: float32 (N, H, W, C), the noise in x_t.
        x_0: float32 (N, H, W, C), the clean image.
    """

    eps: np.ndarray
    x_0: np.ndarray
