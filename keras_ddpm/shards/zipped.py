"""Shards as .zip files of PNGs, `label/seed.png`: unpacked, the layout that `image_dataset_from_directory` reads.

One file a shard, since a folder of a million pictures serves nobody, and no rename of a folder is atomic in a bucket.
"""

import itertools
import os
import pathlib
import zipfile
from collections.abc import Iterable, Iterator

from keras_ddpm.shards.batch import ROWS, Batch, from_rows, to_pngs


def write(path: str | os.PathLike, batches: Iterable[Batch], *, image_shape: tuple, num_classes: int) -> None:
    """Write batches as PNGs in a .zip; see `tfrecord.write`."""
    with zipfile.ZipFile(path, "w") as file:
        for batch in batches:
            for png, label, seed in zip(to_pngs(batch.images), batch.labels, batch.seeds):
                member = zipfile.ZipInfo(f"{label}/{seed}.png")  # dated 1980: the same bytes on every day
                member.external_attr = 0o644 << 16
                file.writestr(member, png)


def read(path: str | os.PathLike, *, image_shape: tuple, num_classes: int) -> Iterator[Batch]:
    """The images of a file that `write` wrote, in batches."""
    with zipfile.ZipFile(path) as file:
        members = iter(file.infolist())
        while some := list(itertools.islice(members, ROWS)):
            names = [pathlib.PurePosixPath(member.filename) for member in some]
            yield from_rows([(file.read(m), int(n.parent.name), int(n.stem)) for m, n in zip(some, names)])
