"""Classification accuracy score: can a classifier learn real images from generated ones alone?

A new network is trained on the generated images and labels only, and tested on real test images. Beside it stands the
same network trained on as many real images: the gap between the two is what the generator lacks in fidelity, diversity
or correct labels.

    python -m keras_ddpm.evaluation.metrics.cas --images generated.npz --steps 1200

The number of steps is fixed, not the number of epochs, so 10,000 and 60,000 images take equally long and differ only
in what they contain. With 60,000 images, about 4000 steps give the best score.

Reference: Ravuri and Vinyals, arXiv 1905.10887.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tyro

from keras_ddpm.data import load
from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels, read_images
from keras_ddpm.evaluation.judges.train_classifier import BATCH, train_classifier

STEPS = 1200


def classification_accuracy_score(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    test: tuple[np.ndarray, np.ndarray],
    steps: int = STEPS,
    arch: str = "conv3x3",
    seed: int = 0,
    verbose: int = 0,
    kind: Kind = DIGITS,
) -> Iterator[tuple[str, float]]:
    """Yields the test accuracy of a classifier trained on these images only.

    Args:
        images: uint8, (N, H, W, C), at least one training batch of 128.
        labels: int, (N,).
        test: `(images, labels)`, real; neither the generator nor anything here was trained on them.
        steps: Training steps, rounded to whole epochs, at least one.
        arch: Architecture of the network.
        seed: Seed of the training.
        verbose: As in `keras.Model.fit`.
        kind: What the images are.

    Returns:
        Iterator of `("classification_accuracy_score", share)`, and the same with `/<class>` per class.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=BATCH, kind=kind)
    check_labels(labels, images, kind=kind)
    check_images(test[0], name="test", kind=kind)
    check_labels(test[1], test[0], name="test labels", kind=kind)
    epochs = max(1, round(steps / (len(images) // BATCH)))
    settings: dict = {"arch": arch, "epochs": epochs, "seed": seed, "verbose": verbose}
    classifier = train_classifier(images, labels, kind=kind, **settings)
    correct = classifier(test[0])[0].argmax(axis=1) == test[1]
    yield "classification_accuracy_score", float(correct.mean())
    for label in np.unique(test[1]):
        yield f"classification_accuracy_score/{label}", float(correct[test[1] == label].mean())


@dataclasses.dataclass(frozen=True)
class Arguments:
    images: pathlib.Path
    """An .npz file with `images` (uint8, N x H x W x C, as the data set's) and `labels`."""
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    steps: int = STEPS
    """Training steps of each of the two classifiers."""
    seed: int = 0
    """Seed of both trainings, and of the choice of real images."""


def main(args: list[str] | None = None) -> None:
    """Prints the score of a file of generated images, and of as many real ones."""
    arguments = tyro.cli(Arguments, description=__doc__, args=args)
    images, labels = read_images(arguments.images)
    training = load(arguments.dataset, "train")
    kind, test = Kind(training.image_shape, training.num_classes), load(arguments.dataset, "test")[:2]
    settings: dict = {"kind": kind, "test": test}
    settings |= {"steps": arguments.steps, "seed": arguments.seed, "verbose": 2}
    chosen = np.random.default_rng(arguments.seed).permutation(len(training.images))[: len(images)]
    real = training.images[chosen], training.labels[chosen]
    for name, x, y in (("generated", images, labels), ("real", *real)):
        values = classification_accuracy_score(x, y, **settings)
        print(f"{name:10} {len(x):6} images   " + "  ".join(f"{n.rpartition('/')[2]} {v:.4f}" for n, v in values))


if __name__ == "__main__":
    main()
