"""Trains the digit classifier; the shipped weights come from

    python -m keras_ddpm.evaluation.judges.train_classifier --dataset mnist.npz \\
        --out keras_ddpm/evaluation/weights/classifier.weights.h5

AdamW, one cycle (a short linear rise, then a cosine to zero), cross-entropy without label smoothing (smoothing pulls
a digit's features together, and the distances need them apart), small affine distortions.
"""

import argparse
import json
import pathlib
import sys
from importlib.metadata import version

import keras
import numpy as np

from keras_ddpm.augment import distort
from keras_ddpm.data import load
from keras_ddpm.evaluation.judges.classifier import ARCHITECTURES, DigitClassifier, build_network
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.whole import whole, write_text

BATCH = 128


class Distorted(keras.utils.PyDataset):
    """Shuffled batches, distorted; what batch i of epoch e holds depends on (seed, e, i) only."""

    def __init__(self, images, labels, *, batch_size, seed):
        super().__init__()
        self.images, self.labels = images, labels
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.on_epoch_begin()

    def __len__(self):
        return len(self.images) // self.batch_size

    def on_epoch_begin(self):
        """Draws the epoch's order."""
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))

    def on_epoch_end(self):
        """Moves on to the next epoch."""
        self.epoch += 1

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return distort(self.images[chosen], rng), self.labels[chosen]


def train_classifier(images, labels, *, arch="conv3x3", epochs=10, batch_size=BATCH, lr=3e-3, seed=0, verbose=0):
    """Trains a classifier from nothing.

    Args:
        images: uint8, (N, 28, 28, 1), at least one batch of them.
        labels: int, (N,), digits.
        arch: A key of `ARCHITECTURES`.
        epochs: Passes over the images.
        batch_size: Images a step.
        lr: The highest learning rate of the cycle.
        seed: Of the weights, the order and the distortions.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `DigitClassifier`.

    Raises:
        ValueError: If the images or labels are not what `check_images` and `check_labels` ask for.
    """
    check_images(images, minimum=batch_size)
    check_labels(labels, images)
    keras.utils.set_random_seed(seed)
    network = build_network(arch)
    data = Distorted(images, labels, batch_size=batch_size, seed=seed)
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


def save(classifier, path, *, facts):
    """Writes weights (float32, without optimizer state) and `facts` as a `.json` beside them."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        classifier.network.save_weights(partial)
    write_text(path.with_name(path.name.replace(".weights.h5", ".json")), json.dumps(facts, indent=2) + "\n")


def main(argv=None):
    """Trains on one split of a data set, tests on the other, saves weights and facts."""
    parser = argparse.ArgumentParser(prog="python -m keras_ddpm.evaluation.judges.train_classifier", description=__doc__)
    parser.add_argument("--out", required=True, help="where to write, ending in .weights.h5")
    parser.add_argument("--arch", default="conv3x3", choices=sorted(ARCHITECTURES))
    parser.add_argument("--dataset", default="mnist", help="a TFDS name, or a .npz file")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    images, labels, _ = load(args.dataset, "train")
    classifier = train_classifier(images, labels, arch=args.arch, epochs=args.epochs, seed=args.seed, verbose=2)
    test_images, test_labels, _ = load(args.dataset, "test")
    accuracy = float(np.mean(classifier(test_images)[0].argmax(axis=1) == test_labels))
    backend = keras.backend.backend()
    facts = {
        "command": " ".join(["python -m keras_ddpm.evaluation.judges.train_classifier", *(argv or sys.argv[1:])]),
        "arch": args.arch,
        "seed": args.seed,
        "parameters": classifier.network.count_params(),
        "test_accuracy": round(accuracy, 4),
        "keras": keras.__version__,
        backend: version(backend),
        "numpy": np.__version__,
    }
    save(classifier, args.out, facts=facts)
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
