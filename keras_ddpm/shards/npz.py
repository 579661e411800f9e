"""Shards as .npz files with `images`, `labels` and `seed`, as `keras-ddpm sample --out digits.npz` writes them.

Written and read in pieces: the pixels wait in an unnamed file until their number is known, which .npy wants first.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator

import numpy as np

from keras_ddpm.shards.batch import ROWS, Batch


def write(path: str | os.PathLike, batches: Iterable[Batch], *, image_shape: tuple, num_classes: int) -> None:
    """Write batches as .npz; see `tfrecord.write`."""
    labels, seeds = [np.zeros(0, "int64")], [np.zeros(0, "int64")]
    with zipfile.ZipFile(path, "w") as file, tempfile.TemporaryFile(dir=os.path.dirname(os.fspath(path))) as pixels:
        for batch in batches:
            pixels.write(batch.images.tobytes())
            labels.append(batch.labels)
            seeds.append(batch.seeds)
        N = sum(map(len, labels))
        pixels.seek(0)
        with _member(file, "images", (N, *image_shape), np.dtype("uint8")) as images:
            shutil.copyfileobj(pixels, images)
        for name, values in (("labels", np.concatenate(labels)), ("seed", np.concatenate(seeds))):
            with _member(file, name, (N,), values.dtype) as member:
                member.write(values.tobytes())


def read(path: str | os.PathLike, *, image_shape: tuple, num_classes: int) -> Iterator[Batch]:
    """The images of a file that `write` wrote, in batches."""
    with zipfile.ZipFile(path) as file:
        with file.open("labels.npy") as labels_file, file.open("seed.npy") as seed_file:
            labels, seeds = np.load(labels_file), np.load(seed_file)
        with file.open("images.npy") as images:
            np.lib.format.read_magic(images)
            (N, *shape), _, _ = np.lib.format.read_array_header_1_0(images)
            for start in range(0, N, ROWS):
                rows = slice(start, min(start + ROWS, N))
                size = (rows.stop - start) * int(np.prod(shape))
                pixels = np.frombuffer(images.read(size), "uint8")
                yield Batch(pixels.reshape(-1, *shape), labels[rows], seeds[rows])


def _member(file, name, shape, dtype):
    """A member that is open for writing, after the header of an array."""
    info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same bytes on every day
    info.external_attr = 0o644 << 16
    member = file.open(info, "w", force_zip64=True)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    return member
