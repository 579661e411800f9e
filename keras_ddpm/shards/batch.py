"""What every format writes and reads: some images with their labels and seeds."""

import hashlib
import io
import os
from typing import NamedTuple

import numpy as np

ROWS = 1_000
"""Images in a batch that is read."""


class Batch(NamedTuple):
    """images uint8 (B, H, W, C), labels int64 (B,), seeds int64 (B,)."""

    images: np.ndarray
    labels: np.ndarray
    seeds: np.ndarray

    def only(self, kept: np.ndarray) -> "Batch":
        """The rows that are kept, (B,) booleans."""
        return Batch(*(array[kept] for array in self))


def to_png(image: np.ndarray) -> bytes:
    """An image uint8 (H, W, C), C = 1 or 3, as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format="PNG")
    return buffer.getvalue()


def from_png(content: bytes) -> np.ndarray:
    """A PNG as image uint8 (H, W, C)."""
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(content)))
    return image[..., None] if image.ndim == 2 else image


def from_rows(rows: list[tuple[bytes, int, int]]) -> Batch:
    """A batch of rows (PNG, label, seed)."""
    pngs, labels, seeds = zip(*rows)
    return Batch(np.stack([from_png(png) for png in pngs]), np.array(labels, "int64"), np.array(seeds, "int64"))


def sha256(path: str | os.PathLike) -> str:
    """A file's SHA-256, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
