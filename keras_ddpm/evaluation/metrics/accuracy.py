"""Is it the digit that was asked for? The classifier's answer, overall and per digit.

    accuracy = mean_i [ argmax_k p(k | x_i) = y_i ],      accuracy/d = the same over the i with y_i = d

Accuracy says nothing about looks: a blob that the classifier takes for a 3 counts as a 3. Confidence, the mean of
max_k p(k | x_i), drops for some of those.
"""

from collections.abc import Iterator

import numpy as np
from sklearn import metrics

from keras_ddpm.evaluation.arrays import NUM_CLASSES, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier


def accuracy(
    images: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None
) -> Iterator[tuple[str, float]]:
    """Yields conditional accuracy, overall and per digit, and confidence.

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,), the digit each image was meant to be.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        Iterator of `("accuracy", share)`, `("confidence", mean)`, and `("accuracy/<digit>", share)` per digit present.

    Raises:
        ValueError: if images or labels are not as described.
    """
    correct, probabilities = _classify(images, labels, classifier)
    yield "accuracy", float(correct.mean())
    yield "confidence", float(probabilities.max(axis=1).mean())
    for digit in np.unique(labels):
        yield f"accuracy/{digit}", float(correct[labels == digit].mean())


def confusion(images: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None) -> np.ndarray:
    """Counts how often digit i (row) was read as digit j (column).

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,).
        classifier: As in `accuracy`.

    Returns:
        int, (10, 10).

    Raises:
        ValueError: if images or labels are not as described.
    """
    _, probabilities = _classify(images, labels, classifier)
    return metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(NUM_CLASSES))


def _classify(images, labels, classifier):
    """Whether each image is read as its label, (N,), and the probabilities, (N, 10)."""
    check_images(images)
    check_labels(labels, images)
    probabilities, _ = (classifier or load_classifier())(images)
    return probabilities.argmax(axis=1) == labels, probabilities
