"""Trains the small digit CLIP; the shipped weights come from

    python -m keras_ddpm.evaluation.judges.train_digit_clip --out keras_ddpm/evaluation/weights --seed 0

Half of each batch is real digits, a little distorted, half is spoilt ones. What captions are true of an image:

    real digit d                photo of d, clear d; and a little: blurry image of every OTHER digit
    spoilt, still a digit d     blurry image of d; and less: blurry image of any other
    no digit                    blurry image of any digit alike
    noise                       random noise, and blurry image of any digit

Without "blurry image of every other digit" the protocol would ignore identity: a perfect 3 meant to be a 5 would pass.
"""

import argparse
import pathlib

import keras
import numpy as np

from keras_ddpm.augment import distort
from keras_ddpm.evaluation import degradations, digit_clip
from keras_ddpm.evaluation.metrics.clip_scores import score_logits
from keras_ddpm.evaluation.arrays import check_images, check_labels

# name: (function of images, partners and generator; share of identity that is left)
SPOILERS = {
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
# Share of a real digit's captions that call it a blurry image of another.
ELSEWHERE = 0.2


def clear_targets(labels):
    """Shares of the captions for real digits.

    Args:
        labels: int array (B,).

    Returns:
        float32 array (B, 31), rows sum to 1.
    """
    rows = np.arange(len(labels))
    q = np.zeros((len(labels), 31), "float32")
    q[:, BLURRY:CLEAR] = ELSEWHERE / 9
    q[rows, BLURRY + labels] = 0.0
    q[rows, PHOTO + labels] = q[rows, CLEAR + labels] = (1.0 - ELSEWHERE) / 2
    return q


def spoilt_targets(labels, kinds):
    """Shares of the captions for spoilt images.

    Args:
        labels: int array (B,).
        kinds: list of B keys of `SPOILERS`.

    Returns:
        float32 array (B, 31), rows sum to 1.
    """
    kept = np.array([SPOILERS[kind][1] for kind in kinds], "float32")
    noisy = np.array([0.5 if kind == "noise" else 0.0 for kind in kinds], "float32")
    q = np.zeros((len(labels), 31), "float32")
    q[:, BLURRY:CLEAR] = ((1.0 - kept - noisy) / 10)[:, None]
    q[np.arange(len(labels)), BLURRY + labels] += kept
    q[:, NOISE] = noisy
    return q


def spoil(images, labels, rng):
    """Spoils each image in a way drawn at random.

    Args:
        images: uint8 array (B, 28, 28, 1).
        labels: int array (B,), at least two different digits.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array (B, 28, 28, 1) and the list of B keys of `SPOILERS`.
    """
    kinds = rng.choice(list(SPOILERS), size=len(images))
    others = images[degradations.partners(labels, rng)]
    spoilt = np.empty_like(images)
    for kind in np.unique(kinds):
        chosen = kinds == kind
        spoilt[chosen] = SPOILERS[kind][0](images[chosen], others[chosen], rng)
    return spoilt, list(kinds)


class Batches(keras.utils.PyDataset):
    """Shuffled batches, half real and half spoilt; batch i of epoch e depends on (seed, e, i) only.

    Args:
        images: uint8 array (N, 28, 28, 1).
        labels: int array (N,).
        batch_size: real images a batch; as many spoilt ones are added.
        seed: int.
    """

    def __init__(self, images, labels, *, batch_size, seed):
        super().__init__()
        self.images, self.labels, self.batch_size, self.seed, self.epoch = images, labels, batch_size, seed, 0

    def __len__(self):
        return len(self.images) // self.batch_size

    def on_epoch_end(self):
        self.epoch += 1

    def __getitem__(self, index):
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
        images, labels = self.images[chosen], self.labels[chosen]
        real = degradations.to_uint8(distort(images, rng))
        spoilt, kinds = spoil(images, labels, rng)
        x = digit_clip.prepare_digits(np.concatenate([real, spoilt]))
        return x, np.concatenate([clear_targets(labels), spoilt_targets(labels, kinds)])


def train_digit_clip(images, labels, *, epochs=3, batch_size=64, lr=1e-3, seed=0, sizes=None, verbose=0):
    """Trains a digit CLIP from nothing.

    Args:
        images: uint8 array (N, 28, 28, 1), at least one batch of them.
        labels: int array (N,).
        epochs: passes over the real images.
        batch_size: real images a batch; as many spoilt ones are added.
        lr: largest learning rate, reached linearly in the first twentieth, then a cosine to zero.
        seed: int; weights, order and distortions follow from it.
        sizes: dict of arguments of `DigitClip`.
        verbose: 1 shows a progress bar, 2 one line an epoch.

    Returns:
        A trained `digit_clip.DigitClip`.

    Raises:
        ValueError: when images or labels have the wrong shape, type or range, or there are too few.
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


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory for the weights and their JSON")
    parser.add_argument("--dataset", default="mnist", help="a TFDS name or the path of an .npz file")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--n", type=int, default=None, help="train on the first N images only")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    from keras_ddpm import data

    images, labels, _ = data.load(args.dataset, split="train")
    model = train_digit_clip(images[: args.n], labels[: args.n], epochs=args.epochs, seed=args.seed, verbose=2)
    notes = {"data": "MNIST train", "images": len(images[: args.n]), "epochs": args.epochs, "seed": args.seed}
    digit_clip.save(model, args.out, notes=notes)
    images, labels, _ = data.load(args.dataset, split="test")
    logits = model.predict(digit_clip.prepare_digits(images), verbose=0)[:, :NOISE]
    for name, value in score_logits(logits, labels):
        if name.endswith("/all"):
            print(f"{digit_clip.NAME} on real test images: {name:14s} {value:6.2f} %")


if __name__ == "__main__":
    main()
