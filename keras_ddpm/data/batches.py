"""Batches of a data set in memory, in an order that a resumed run repeats."""

from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_ddpm.data.pixels import to_float


class Batches(keras.utils.PyDataset):
    """Batches of (x_0, labels), in an order that depends on the seed and the epoch alone.

    So a resumed run sees the batches that an unbroken one would have seen. The last, incomplete batch of an epoch is
    dropped.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,), or a dict of (N,) with attributes beside the `label`.
        batch_size: Images a batch, at most N.
        seed: Non-negative integer.
        epoch: The epoch to start with.
        augment: Function `(uint8 images, NumPy generator) -> float images in 0 ... 255`, or None.
        measure: Function of augmented images -> dict of those attributes that augmentation changes, or None.
    """

    def __init__(
        self,
        images,
        labels,
        *,
        batch_size,
        seed=0,
        epoch=0,
        augment=None,
        measure: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None,
    ):
        super().__init__()
        if not 1 <= batch_size <= len(images):
            raise ValueError(f"`batch_size` must be in 1..{len(images)}, the number of images. Received: {batch_size}")
        self.images, self.labels, self.batch_size, self.seed = images, labels, batch_size, seed
        self.augment, self.measure = augment, measure
        self.start(epoch)

    def __len__(self):
        return len(self.images) // self.batch_size

    def __getitem__(self, i):
        rows = self.order[i * self.batch_size : (i + 1) * self.batch_size]
        images, labels = self.images[rows], keras.tree.map_structure(lambda values: values[rows], self.labels)
        if self.augment:
            images = self.augment(images, np.random.default_rng([self.seed, self.epoch, i]))
            if self.measure:
                labels = {**labels, **self.measure(images)}
        return to_float(images), labels

    def on_epoch_end(self) -> None:
        self.start(self.epoch + 1)

    def start(self, epoch: int) -> None:
        """Shuffle for the given epoch."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
