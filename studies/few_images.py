"""A generator that is trained on a few images and on nothing else, for the studies that ask what it knows.

python -m studies.augmentation, python -m studies.privacy

Its validation images are its training images. So no other image is looked at, the loss falls to the end, and the
weights that are kept are those of the end.
"""

import pathlib

import numpy as np

from keras_ddpm import data
from keras_ddpm.config import Config, DataConfig, NetworkConfig, TrainingConfig
from studies import trainings
from studies.study import Options

HELD_OUT = 5_000
"""Images at the end of the training split that no generator of these studies is trained on."""
NETWORK = NetworkConfig(widths=(32, 64), depths=(1, 1))
QUICK = NetworkConfig(widths=(8, 8), depths=(1, 1), embed_dim=16, heads=2)
BATCH, STEPS = 32, 500
"""Images a step, and steps an epoch, in which the few images come many times."""


def choose(labels: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Draw images of each class. Those of a smaller count are among those of a larger one.

    Args:
        labels: int (N,).
        counts: int (C,), images of each class.
        seed: Of the choice.

    Returns:
        int (sum of counts,), indices into `labels`, class by class.

    Raises:
        ValueError: if a class has too few images.
    """
    there = np.bincount(labels, minlength=len(counts))[: len(counts)]
    if np.any(there < counts):
        raise ValueError(f"`counts` must be at most {there.tolist()}. Received: {np.asarray(counts).tolist()}")
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == c))[:count] for c, count in enumerate(counts)]
    return np.concatenate(rows)


def configuration(name: str, epochs: int, seed: int, options: Options) -> Config:
    """The configuration of a generator.

    Args:
        name: Of the run: says which images it is trained on.
        epochs: Of `STEPS` steps each.
        seed: Of the training.
        options: `study.Options`.
    """
    return Config(
        name=name,
        data=DataConfig(dataset=options.dataset, validation_images=0),
        network=QUICK if options.quick else NETWORK,
        training=TrainingConfig(
            epochs=1 if options.quick else epochs,
            batch_size=BATCH,
            learning_rate=3e-3,
            warmup_steps=100,
            precision="float32",
            seed=seed,
            grid_every=0,
        ),
    )


def train(
    name: str, images: np.ndarray, labels: np.ndarray, options: Options, *, epochs: int, seed: int = 0
) -> pathlib.Path | None:
    """Train a generator, or what is left of it; see `trainings.train`.

    Args:
        name: Of the run, and of its folder.
        images: uint8 (N, 28, 28, 1): all that it ever sees.
        labels: int (N,).
        options: `study.Options`.
        epochs: Of `STEPS` steps each.
        seed: Of the training.
    """
    rows = np.resize(np.arange(len(images)), BATCH * (2 if options.quick else STEPS))
    given = {"data": (images[rows], labels[rows]), "validation": (images, labels), "num_classes": 10}
    return trainings.train(configuration(name, epochs, seed, options), options.trainings / name, options, **given)


def split(options: Options) -> tuple[data.Dataset, data.Dataset]:
    """The training split without its last images, from which a few are chosen, and these last ones."""
    return data.load(options.dataset, "train").hold_out(HELD_OUT)
