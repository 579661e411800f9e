"""Trains the small digit CLIP. The shipped weights come from

    python -m keras_ddpm.evaluation.judges.train_digit_clip --out keras_ddpm/evaluation/judges/weights --seed 0

Half of each batch is real digits, slightly distorted, and half is degraded ones. The captions that fit an image:

    real digit d                   photo of d, clear d; with a small share: blurry image of every OTHER digit
    degraded, still a digit d      blurry image of d; with a smaller share: blurry image of any other
    no digit                       blurry image of any digit, in equal shares
    noise                          random noise, and blurry image of any digit

Without "blurry image of every other digit" the scores would ignore identity: a perfect 3 meant to be a 5 would pass.
The number of epochs is fixed: nothing is chosen by the test images, which are scored once, at the end.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import tyro

from keras_ddpm.data import load
from keras_ddpm.data.augmentation import distort
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.corruptions import degradations
from keras_ddpm.evaluation.judges import digit_clip
from keras_ddpm.evaluation.judges.caption_scores import score_logits

# name: (function of images, partners and random generator; share of the digit's identity that remains)
DEGRADATIONS = {
    "blur": (lambda x, others, rng: degradations.blur(x, rng), 0.5),
    "diffuse": (lambda x, others, rng: degradations.diffuse(x, rng), 0.5),
    "erase_bands": (lambda x, others, rng: degradations.erase_bands(x, rng), 0.5),
    "cross_fade": (degradations.cross_fade, 0.0),
    "splice": (degradations.splice, 0.0),
    "shuffle_cells": (lambda x, others, rng: degradations.shuffle_cells(x, rng), 0.0),
    "blobs": (lambda x, others, rng: degradations.blobs(x, rng), 0.0),
    "noise": (lambda x, others, rng: degradations.noise(x, rng), 0.0),
}
PHOTO, BLURRY, CLEAR, NOISE = 0, 10, 20, 30  # first column of each kind of caption
# Share of a real digit's captions that call it a blurry image of another digit.
ELSEWHERE = 0.2


def clear_targets(labels: np.ndarray) -> np.ndarray:
    """Shares of the captions for real digits.

    Args:
        labels: int array (B,).

    Returns:
        float32 array (B, 31); rows sum to 1.
    """
    rows = np.arange(len(labels))
    q = np.zeros((len(labels), 31), "float32")
    q[:, BLURRY:CLEAR] = ELSEWHERE / 9
    q[rows, BLURRY + labels] = 0.0
    q[rows, PHOTO + labels] = q[rows, CLEAR + labels] = (1.0 - ELSEWHERE) / 2
    return q


def degraded_targets(labels: np.ndarray, kinds: list[str]) -> np.ndarray:
    """Shares of the captions for degraded images.

    Args:
        labels: int array (B,).
        kinds: B keys of `DEGRADATIONS`.

    Returns:
        float32 array (B, 31); rows sum to 1.
    """
    kept = np.array([DEGRADATIONS[kind][1] for kind in kinds], "float32")
    noisy = np.array([0.5 if kind == "noise" else 0.0 for kind in kinds], "float32")
    q = np.zeros((len(labels), 31), "float32")
    q[:, BLURRY:CLEAR] = ((1.0 - kept - noisy) / 10)[:, None]
    q[np.arange(len(labels)), BLURRY + labels] += kept
    q[:, NOISE] = noisy
    return q


def degrade(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Degrades each image in a randomly drawn way.

    Args:
        images: uint8 array (B, 28, 28, 1).
        labels: int array (B,), at least two different digits.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array (B, 28, 28, 1), and B keys of `DEGRADATIONS`.
    """
    kinds = rng.choice(list(DEGRADATIONS), size=len(images))
    others = images[degradations.partners(labels, rng)]
    degraded = np.empty_like(images)
    for kind in np.unique(kinds):
        chosen = kinds == kind
        degraded[chosen] = DEGRADATIONS[kind][0](images[chosen], others[chosen], rng)
    return degraded, list(kinds)


class Batches(keras.utils.PyDataset):
    """Shuffled batches, half real and half degraded; batch i of epoch e depends on (seed, e, i) only.

    Args:
        images: uint8 array (N, 28, 28, 1).
        labels: int array (N,).
        batch_size: Real images per batch; as many degraded ones are added.
        seed: int.
    """

    def __init__(self, images, labels, *, batch_size, seed):
        super().__init__()
        self.images, self.labels, self.batch_size, self.seed, self.epoch = images, labels, batch_size, seed, 0

    def __len__(self):
        return len(self.images) // self.batch_size

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch."""
        self.epoch += 1

    def __getitem__(self, index):
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
        images, labels = self.images[chosen], self.labels[chosen]
        real = degradations.grey_levels(distort(images, rng))
        degraded, kinds = degrade(images, labels, rng)
        x = digit_clip.prepare_digits(np.concatenate([real, degraded]))
        return x, np.concatenate([clear_targets(labels), degraded_targets(labels, kinds)])


def train_digit_clip(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int = 3,
    batch_size: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    sizes: dict | None = None,
    verbose: int = 0,
) -> digit_clip.DigitClip:
    """Trains a digit CLIP from scratch.

    Args:
        images: uint8 array (N, 28, 28, 1), at least one batch.
        labels: int array (N,).
        epochs: Passes over the real images.
        batch_size: Real images per batch; as many degraded ones are added.
        lr: Highest learning rate, reached linearly in the first twentieth, followed by a cosine to zero.
        seed: Seed of the weights, the order and the distortions.
        sizes: Arguments of `DigitClip`.
        verbose: 1 shows a progress bar, 2 one line per epoch.

    Returns:
        A trained `digit_clip.DigitClip`.

    Raises:
        ValueError: if images or labels have the wrong shape, dtype or range, or there are too few.
    """
    check_images(images, minimum=batch_size)
    check_labels(labels, images)
    keras.utils.set_random_seed(seed)
    batches = Batches(images, np.asarray(labels), batch_size=batch_size, seed=seed)
    steps = epochs * len(batches)
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warm), warmup_target=lr, warmup_steps=warm)
    model = digit_clip.DigitClip(**(sizes or {}))
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=0.01, clipnorm=1.0),
        loss=digit_clip.contrastive_loss,
        jit_compile=False,
    )
    model.fit(batches, epochs=epochs, verbose=verbose)
    return model


@dataclasses.dataclass(frozen=True)
class Arguments:
    out: pathlib.Path
    """Folder for the weights and their JSON."""
    dataset: str = "mnist"
    """Digits: TFDS name, or path of an .npz file."""
    epochs: int = 3
    """Passes over the training images."""
    n: int | None = None
    """Train on the first N images only. Default: all."""
    seed: int = 0
    """Seed of the weights, the order and the distortions."""


def main(args: list[str] | None = None) -> None:
    """Trains on the training split, saves, and scores the real test images."""
    arguments = tyro.cli(Arguments, description=__doc__, args=args)
    images, labels, _ = load(arguments.dataset, "train").first(arguments.n or 0)
    model = train_digit_clip(images, labels, epochs=arguments.epochs, seed=arguments.seed, verbose=2)
    notes = {"data": "MNIST train", "images": len(images), "epochs": arguments.epochs, "seed": arguments.seed}
    digit_clip.save(model, arguments.out, notes=notes)
    images, labels, _ = load(arguments.dataset, "test")
    logits = model.predict(digit_clip.prepare_digits(images), verbose=0)[:, :NOISE]
    for name, value in score_logits(logits, labels):
        if name.endswith("/all"):
            print(f"{digit_clip.NAME} on real test images: {name:14s} {value:6.2f} %")


if __name__ == "__main__":
    main()
