"""A finished data set in shards, read shard by shard."""

import os
from collections.abc import Iterator

from keras_ddpm.saving.files import sha256
from keras_ddpm.shards import manifest
from keras_ddpm.shards.batch import Batch
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import open_folder


class ShardedImages:
    """A data set that `synthesize` wrote.

    Args:
        path: Its folder or bucket.

    Raises:
        FileNotFoundError: if there is no manifest.
        ValueError: if it is not finished, or not of this kind.

    Example:
        >>> for images, labels, seeds in ShardedImages("digits").batches():
        ...     pass
    """

    def __init__(self, path: str | os.PathLike):
        self.folder = open_folder(path)
        content = manifest.read(self.folder)
        if content is None:
            raise FileNotFoundError(f"There is no {manifest.NAME} in {str(path)!r}")
        if not content["complete"]:
            raise ValueError(f"The data set in {str(path)!r} is not finished: run its `keras-ddpm synthesize` again")
        self.content, self.settings = content, content["settings"]

    def __len__(self) -> int:
        return self.content["images"]

    @property
    def label_counts(self) -> list[int]:
        """Number of images of each label."""
        return self.content["labels"]

    def batches(self) -> Iterator[Batch]:
        """All images in order, some at a time. The memory does not grow with their number.

        Raises:
            ValueError: for a shard whose SHA-256 is not the manifest's.
            FileNotFoundError: for a shard that is missing.
        """
        shape, num_classes = tuple(self.settings["image_shape"]), len(self.label_counts)
        for entry in self.content["shards"]:
            with self.folder.reading(entry["file"]) as path:
                if sha256(path) != entry["sha256"]:
                    raise ValueError(f"{entry['file']} in {str(self.folder)!r} is damaged: its SHA-256 is wrong")
                yield from FORMATS[self.settings["format"]].read(path, image_shape=shape, num_classes=num_classes)
