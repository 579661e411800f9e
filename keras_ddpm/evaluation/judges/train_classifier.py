"""Trains the digit classifier. The shipped weights come from

    python -m keras_ddpm.evaluation.judges.train_classifier --dataset mnist.npz \\
        --out keras_ddpm/evaluation/judges/weights/classifier.weights.h5

AdamW, one cycle (a short linear warm-up, then a cosine to zero), cross-entropy without label smoothing (smoothing pulls
a digit's features together, and the distances need them apart), small affine distortions. The number of epochs is
fixed: nothing is chosen by the test images, whose accuracy is measured once, at the end.
"""

import dataclasses
import json
import pathlib
import sys
from importlib.metadata import version
from typing import Literal

import keras
import numpy as np
import tyro

from keras_ddpm.data import load
from keras_ddpm.data.augmentation import distort
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import DigitClassifier, build_network
from keras_ddpm.files import atomic, write_text

BATCH = 128


class DistortedBatches(keras.utils.PyDataset):
    """Shuffled, distorted batches; batch i of epoch e depends on (seed, e, i) only."""

    def __init__(self, images, labels, *, batch_size, seed):
        super().__init__()
        self.images, self.labels = images, labels
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
        return distort(self.images[chosen], rng), self.labels[chosen]


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
) -> DigitClassifier:
    """Trains a classifier from scratch.

    Args:
        images: uint8, (N, 28, 28, 1), at least one batch.
        labels: int, (N,), digits.
        arch: A key of `classifier.ARCHITECTURES`.
        epochs: Passes over the images.
        batch_size: Images per step.
        lr: The highest learning rate of the cycle.
        seed: Seed of the weights, the order and the distortions.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `DigitClassifier`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=batch_size)
    check_labels(labels, images)
    keras.utils.set_random_seed(seed)
    network = build_network(arch)
    data = DistortedBatches(images, labels, batch_size=batch_size, seed=seed)
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
    trainee.fit(data, epochs=epochs, verbose=verbose)
    return DigitClassifier(network)


def save(classifier: DigitClassifier, path: str | pathlib.Path, *, notes: dict) -> None:
    """Writes the weights (float32, without optimizer state), and `notes` into a `.json` beside them."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        classifier.network.save_weights(partial)
    write_text(path.with_name(path.name.replace(".weights.h5", ".json")), json.dumps(notes, indent=2) + "\n")


@dataclasses.dataclass(frozen=True)
class Arguments:
    out: pathlib.Path
    """File to write, ending in .weights.h5."""
    arch: Literal["conv3x3", "wide5x5"] = "conv3x3"
    """Architecture of the network."""
    dataset: str = "mnist"
    """Digits: TFDS name, or path of an .npz file."""
    epochs: int = 10
    """Passes over the training images."""
    seed: int = 0
    """Seed of the weights, the order and the distortions."""


def main(args: list[str] | None = None) -> None:
    """Trains on the training split, measures accuracy on the test split, and saves weights and notes."""
    arguments = tyro.cli(Arguments, description=__doc__, args=args)
    images, labels, _ = load(arguments.dataset, "train")
    classifier = train_classifier(
        images, labels, arch=arguments.arch, epochs=arguments.epochs, seed=arguments.seed, verbose=2
    )
    test_images, test_labels, _ = load(arguments.dataset, "test")
    accuracy = float(np.mean(classifier(test_images)[0].argmax(axis=1) == test_labels))
    backend = keras.backend.backend()
    notes = {
        "command": " ".join(["python -m keras_ddpm.evaluation.judges.train_classifier", *(args or sys.argv[1:])]),
        "arch": arguments.arch,
        "seed": arguments.seed,
        "parameters": classifier.network.count_params(),
        "test_accuracy": round(accuracy, 4),
        "keras": keras.__version__,
        backend: version(backend),
        "numpy": np.__version__,
    }
    save(classifier, arguments.out, notes=notes)
    print(json.dumps(notes, indent=2))


if __name__ == "__main__":
    main()
