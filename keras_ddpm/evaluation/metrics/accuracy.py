"""Is it the class that was asked for? The classifier's answer, overall and per class.

    accuracy = mean_i [ argmax_k p(k | x_i) = y_i ],      accuracy/k = the same over the i with y_i = k

Accuracy says nothing about looks: a blob that the classifier takes for a 3 counts as a 3. Confidence, the mean of
max_k p(k | x_i), drops for some of those.
"""

from collections.abc import Iterator

import numpy as np
from sklearn import metrics

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier


def accuracy(
    images: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None, kind: Kind = DIGITS
) -> Iterator[tuple[str, float]]:
    """Yields conditional accuracy, overall and per class, and confidence.

    Args:
        images: uint8, (N, H, W, C).
        labels: int, (N,), the class each image was meant to be.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        Iterator of `("accuracy", share)`, `("confidence", mean)`, and `("accuracy/<class>", share)` per class present.

    Raises:
        ValueError: if images or labels are not as described.
    """
    correct, probabilities = _classify(images, labels, classifier, kind)
    yield "accuracy", float(correct.mean())
    yield "confidence", float(probabilities.max(axis=1).mean())
    for label in np.unique(labels):
        yield f"accuracy/{label}", float(correct[labels == label].mean())


def confusion(
    images: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None, kind: Kind = DIGITS
) -> np.ndarray:
    """Counts how often class i (row) was read as class j (column).

    Args:
        images: uint8, (N, H, W, C).
        labels: int, (N,).
        classifier, kind: As in `accuracy`.

    Returns:
        int, (K, K), K classes.

    Raises:
        ValueError: if images or labels are not as described.
    """
    _, probabilities = _classify(images, labels, classifier, kind)
    return metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(kind.num_classes))


def _classify(images, labels, classifier, kind):
    """Whether each image is read as its label, (N,), and the probabilities, (N, K)."""
    check_images(images, kind=kind)
    check_labels(labels, images, kind=kind)
    probabilities, _ = (classifier or load_classifier())(images)
    return probabilities.argmax(axis=1) == labels, probabilities
