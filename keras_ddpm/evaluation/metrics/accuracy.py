"""Is the digit the one that was asked for? The classifier's answer, over all and per digit.

    accuracy = mean_i [ argmax_k p(k | x_i) = y_i ],      accuracy/d = the same over the i with y_i = d

It says nothing about looks: a blob the classifier takes for a 3 counts as a 3. Confidence, the mean of
max_k p(k | x_i), falls for some of those.
"""

import numpy as np
from sklearn import metrics

from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.arrays import NUM_CLASSES, check_images, check_labels


def accuracy(images, labels, *, classifier=None):
    """Yields conditional accuracy, over all and per digit, and confidence.

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,), the digit each image was meant to be.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        Iterator of `("accuracy", share)`, `("confidence", mean)`, `("accuracy/<digit>", share)` for each digit present.

    Raises:
        ValueError: If images or labels are not as described.
    """
    right, probabilities = _right(images, labels, classifier)
    yield "accuracy", float(right.mean())
    yield "confidence", float(probabilities.max(axis=1).mean())
    for digit in np.unique(labels):
        yield f"accuracy/{digit}", float(right[labels == digit].mean())


def confusion(images, labels, *, classifier=None):
    """Counts how often digit i (row) was read as digit j (column).

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,).
        classifier: As in `accuracy`.

    Returns:
        int, (10, 10).

    Raises:
        ValueError: If images or labels are not as described.
    """
    _, probabilities = _right(images, labels, classifier)
    return metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(NUM_CLASSES))


def _right(images, labels, classifier):
    """Whether each image is read as its label, (N,), and the probabilities, (N, 10)."""
    check_images(images)
    check_labels(labels, images)
    probabilities, _ = (classifier or load_classifier())(images)
    return probabilities.argmax(axis=1) == labels, probabilities
