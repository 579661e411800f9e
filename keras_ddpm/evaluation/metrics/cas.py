"""Classification accuracy score: can a classifier learn the real digits from generated ones alone?

A fresh network is trained on the generated images and their labels only, and tested on real test images. The same
network trained on as many real images stands beside it: the distance between the two is what the generator misses, in
fidelity, diversity or labels (arXiv 1905.10887).

    python -m keras_ddpm.evaluation.metrics.cas --images generated.npz --steps 1200

The number of steps is fixed, not the number of passes, so that 10,000 and 60,000 images cost the same and differ only
in what they hold; give 60,000 about 4000 steps for the best figure.
"""

import argparse

import numpy as np

from keras_ddpm.data import load
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.judges.train_classifier import BATCH, train_classifier

STEPS = 1200


def classification_accuracy_score(images, labels, *, test, steps=STEPS, arch="conv3x3", seed=0, verbose=0):
    """Yields the test accuracy of a classifier trained on these images only.

    Args:
        images: uint8, (N, 28, 28, 1), at least one training batch of 128.
        labels: int, (N,).
        test: `(images, labels)`, real ones that neither the generator nor anything here was trained on.
        steps: Training steps, rounded to whole passes over the images, at least one.
        arch: The network to train.
        seed: Of the training.
        verbose: As in `keras.Model.fit`.

    Returns:
        Iterator of `("classification_accuracy_score", share)`, `("classification_accuracy_score/<digit>", share)`.

    Raises:
        ValueError: If images or labels are not as described.

    Reference:
        Ravuri and Vinyals, arXiv 1905.10887.
    """
    check_images(images, minimum=BATCH)
    check_labels(labels, images)
    check_images(test[0], name="test")
    check_labels(test[1], test[0], name="test labels")
    epochs = max(1, round(steps / (len(images) // BATCH)))
    classifier = train_classifier(images, labels, arch=arch, epochs=epochs, seed=seed, verbose=verbose)
    right = classifier(test[0])[0].argmax(axis=1) == test[1]
    yield "classification_accuracy_score", float(right.mean())
    for digit in np.unique(test[1]):
        yield f"classification_accuracy_score/{digit}", float(right[test[1] == digit].mean())


def read_pairs(path):
    """Reads `images` and `labels` from an .npz file.

    Args:
        path: The file.

    Returns:
        `(images, labels)`, unchecked.

    Raises:
        ValueError: If either is not in the file.
    """
    with np.load(path) as file:
        missing = {"images", "labels"} - set(file.files)
        if missing:
            raise ValueError(f"{path} must hold `images` and `labels`. Received: {sorted(file.files)}")
        return file["images"], file["labels"]


def main(argv=None):
    """Prints the score of a file of generated images and of as many real ones."""
    parser = argparse.ArgumentParser(prog="python -m keras_ddpm.evaluation.metrics.cas", description=__doc__)
    parser.add_argument("--images", required=True, help="an .npz file with `images` (uint8) and `labels`")
    parser.add_argument("--dataset", default="mnist", help="the real ones: a TFDS name, or a .npz file")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    images, labels = read_pairs(args.images)
    real, real_labels, _ = load(args.dataset, "train")
    test = load(args.dataset, "test")[:2]
    chosen = np.random.default_rng(args.seed).permutation(len(real))[: len(images)]
    for name, x, y in (("generated", images, labels), ("real", real[chosen], real_labels[chosen])):
        values = classification_accuracy_score(x, y, test=test, steps=args.steps, seed=args.seed, verbose=2)
        print(f"{name:10} {len(x):6} images   " + "  ".join(f"{n.rpartition('/')[2]} {v:.4f}" for n, v in values))


if __name__ == "__main__":
    main()
