"""Validation data: held-out images with times and noise that are given, so that only the model changes."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_ddpm.diffusion import Diffusion
from keras_ddpm.types import Tensor


def validation_set(
    images: np.ndarray,
    condition: Mapping[str, Tensor],
    diffusion: Diffusion,
    *,
    shape: tuple[int, ...] | None = None,
    seed: int = 0,
    epoch: int = 0,
) -> tuple:
    """Images with times and noise that stay the same from epoch to epoch, as `fit` takes them.

    So a change of the validation loss is a change of the model.

    Args:
        images: float (N, H, W, C) in [-1, 1].
        condition: int (N,), or a dict of (N,).
        diffusion: `Diffusion`.
        shape: (h, w, c) of the noise; None for that of the images.
        seed: Non-negative integer.
        epoch: The epoch to start with, which changes nothing here (see `FreshValidation`).

    Returns:
        ((x_0, condition, t, eps),) with t float32 (N,), spread evenly over (0, 1], and eps float32.
    """
    random = np.random.default_rng(seed)
    u = (random.permutation(len(images)) + 0.5) / len(images)
    t = np.asarray(diffusion.snap(u), "float32")
    eps = random.standard_normal((len(images), *(shape or images.shape[1:])), dtype="float32")
    return ((images, condition, t, eps),)


class Held(keras.utils.PyDataset):
    """Batches of what `validation_set` returns.

    Args:
        arrays: (x_0, condition, t, eps).
        batch_size: Images a batch; the last batch may have fewer.
    """

    def __init__(self, arrays, *, batch_size):
        super().__init__()
        self.arrays, self.batch_size = arrays, batch_size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __getitem__(self, i):
        rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
        return (keras.tree.map_structure(lambda array: array[rows], self.arrays),)


class FreshValidation(Held):
    """`validation_set` with new times and noise in each epoch: its loss changes even where the model does not.

    Args:
        images, condition, diffusion, shape, seed: See `validation_set`; epoch e draws with seed + 2 e + 1, as for the
            shipped `report`.
        epoch: The epoch to start with, so that a resumed run draws what an unbroken one would have drawn.
        batch_size: Images a batch.
    """

    def __init__(self, images, condition, diffusion, *, shape=None, batch_size=512, seed=0, epoch=0):
        super().__init__((images,), batch_size=batch_size)
        self.data, self.shape, self.seed, self.epoch = (images, condition, diffusion), shape, seed, epoch
        self.draw()  # Keras looks at the first batches before an epoch begins

    def on_epoch_begin(self) -> None:
        self.draw()
        self.epoch += 1

    def draw(self) -> None:
        """New times and noise, those of the coming epoch."""
        (self.arrays,) = validation_set(*self.data, shape=self.shape, seed=self.seed + 2 * self.epoch + 1)


VALIDATION = {"fixed": validation_set, "fresh": FreshValidation}
