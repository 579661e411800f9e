"""What every format writes and reads: some images with their labels and seeds."""

import io
import struct
import zlib
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


def to_pngs(images: np.ndarray) -> list[bytes]:
    """Images uint8 (B, H, W, C), C = 1 or 3, as PNGs.

    By hand, since a small image costs Pillow more than twice the time, and the bytes must not depend on its version.
    Reference: PNG specification, third edition, W3C 2025, sections 5 and 9.
    """
    B, H, W, C = images.shape
    lines = np.zeros((B, H, 1 + W * C), "uint8")  # each line begins with the number of its filter: 0, none
    lines[:, :, 1:] = images.reshape(B, H, W * C)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, {1: 0, 3: 2}[C], 0, 0, 0))
    start, end = b"\x89PNG\r\n\x1a\n" + header, _chunk(b"IEND", b"")
    return [start + _chunk(b"IDAT", zlib.compress(image.tobytes())) + end for image in lines]


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def from_png(content: bytes) -> np.ndarray:
    """A PNG as image uint8 (H, W, C)."""
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(content)))
    return image[..., None] if image.ndim == 2 else image


def from_rows(rows: list[tuple[bytes, int, int]]) -> Batch:
    """A batch of rows (PNG, label, seed)."""
    pngs, labels, seeds = zip(*rows)
    return Batch(np.stack([from_png(png) for png in pngs]), np.array(labels, "int64"), np.array(seeds, "int64"))
