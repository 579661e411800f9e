"""How a classifier is trained: the judge of a data set, and the classification accuracy score's.

AdamW, one cycle (a short linear warm-up, then a cosine to zero), cross-entropy without label smoothing (smoothing pulls
a class's features together, and the distances need them apart), small affine distortions. The number of epochs is
fixed: neither held-out nor test images choose anything.
"""

from collections.abc import Callable

import keras
import numpy as np

from keras_ddpm.data.augmentation import distort
from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Judge, build_network

BATCH = 128


class ShuffledBatches(keras.utils.PyDataset):
    """Shuffled batches, augmented if asked; batch i of epoch e depends on (seed, e, i) only."""

    def __init__(self, images, labels, *, batch_size, seed, augment):
        super().__init__()
        self.images, self.labels, self.augment = images, labels, augment
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.on_epoch_begin()

    def __len__(self):
        return len(self.images) // self.batch_size

    def on_epoch_begin(self) -> None:
        """Shuffles for the epoch."""
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch."""
        self.epoch += 1

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.images[chosen]
        return self.augment(images, rng) if self.augment else images.astype("float32"), self.labels[chosen]


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    arch: str = "conv3x3",
    epochs: int = 10,
    batch_size: int = BATCH,
    lr: float = 3e-3,
    seed: int = 0,
    verbose: int = 0,
    kind: Kind = DIGITS,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    augment: Callable | None = distort,
) -> Judge:
    """Trains a classifier from scratch.

    Args:
        images: uint8, (N, H, W, C), at least one batch.
        labels: int, (N,), classes.
        arch: A key of `classifier.ARCHITECTURES`.
        epochs: Passes over the images.
        batch_size: Images per step.
        lr: The highest learning rate of the cycle.
        seed: Seed of the weights, the order and the distortions.
        verbose: As in `keras.Model.fit`.
        kind: What the images are.
        held_out: `(images, labels)` whose accuracy `verbose` shows after each epoch; None for nothing.
        augment: Function `(uint8 images, NumPy generator) -> float images in 0 ... 255`; None for images as they are.

    Returns:
        A `Judge`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=batch_size, kind=kind)
    check_labels(labels, images, kind=kind)
    keras.utils.set_random_seed(seed)
    network = build_network(arch, kind)
    data = ShuffledBatches(images, labels, batch_size=batch_size, seed=seed, augment=augment)
    steps = epochs * len(data)
    schedule = keras.optimizers.schedules.CosineDecay(
        lr / 20, decay_steps=steps - steps // 10, warmup_target=lr, warmup_steps=max(1, steps // 10)
    )
    trainee = keras.Model(network.input, network.output["logits"])
    trainee.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    trainee.fit(data, epochs=epochs, verbose=verbose, validation_data=held_out)
    return Judge(network)
