"""When does a digit come or go? The classifier's answer along the forward or the reverse process.

Frames are the process as uint8 pictures, one stack of images for each step shown. For every step a confusion matrix is
counted, and from it

    accuracy     right answers / all
    F1(d)        2 right_d / (asked for d + read as d)

per digit F1, not accuracy: in pure noise a classifier reads one favourite digit for everything, which would make that
digit 100 % "recognised" where nothing is to be seen. Chance is 0.10 for accuracy and at most 0.18 for F1.

The shipped classifier was trained on clean digits and loses noisy ones long before the eye does: what the curves tell
is when an image starts to look like data, not when a person could guess the digit.
"""

import numpy as np
from sklearn.metrics import confusion_matrix

from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.arrays import NUM_CLASSES, check_images, check_labels

GONE = 0.2
READABLE = 0.9
CLAIMS = {
    "gone_at": (0.50, 0.60),
    "readable_at": (0.70, 0.80),
    "readable_at/1": (0.60, 0.65),
    "readable_at/7": (0.60, 0.65),
    "readable_at/2": (0.75, 0.80),
    "readable_at/8": (0.75, 0.80),
}
"""What the original report claims: shares of the noise steps, and of the denoising."""


def confusions(frames, labels, *, classifier=None):
    """Counts at each step how often digit i was read as digit j.

    Args:
        frames: uint8, (S, N, 28, 28, 1), steps in the order of the process.
        labels: int, (N,), the digits meant, the same at every step.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        int, (S, 10, 10).

    Raises:
        ValueError: If frames or labels are not as described.
    """
    if np.ndim(frames) != 5:
        raise ValueError(f"`frames` must have shape (S, N, 28, 28, 1). Received: {np.shape(frames)}")
    classifier = classifier or load_classifier()
    counts = []
    for images in frames:
        check_images(images, name="frames[i]")
        check_labels(labels, images)
        counts.append(confusion_matrix(labels, classifier(images)[0].argmax(axis=1), labels=range(NUM_CLASSES)))
    return np.stack(counts)


def curves(counts):
    """Accuracy and F1 per digit from confusion matrices.

    Args:
        counts: int, (S, 10, 10).

    Returns:
        `(accuracy, f1)`: (S,) and (S, 10); F1 of a digit neither asked for nor read is NaN.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)  # (S, 10)
    total = counts.sum(axis=1) + counts.sum(axis=2)  # (S, 10), read as d plus asked for d
    f1 = np.divide(2.0 * right, total, out=np.full(right.shape, np.nan), where=total > 0)
    return right.sum(axis=1) / counts.sum(axis=(1, 2)), f1


def settles_above(progress, values, *, level):
    """The first progress from which on no value is below a level; NaN if the last one is.

    Args:
        progress: (S,), ascending.
        values: (S,).
        level: The level.

    Returns:
        A float from `progress`, or NaN.
    """
    below = np.flatnonzero(~(np.asarray(values) >= level))
    first = below[-1] + 1 if len(below) else 0
    return float(progress[first]) if first < len(progress) else float("nan")


def forward_recognition(frames, labels, *, progress, classifier=None):
    """Yields accuracy along the forward process and the share of it at which digits are gone.

    Args:
        frames: uint8, (S, N, 28, 28, 1), from clean to noise.
        labels: int, (N,).
        progress: (S,), share of the noise steps done, ascending in 0..1.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        Iterator of `("accuracy@<progress>", share)`, `("gone_at", progress)` and `("gone_at/<digit>", progress)`: from
        where on accuracy, or F1, stays at 0.2 or less.

    Raises:
        ValueError: If an argument is not as described.
    """
    accuracy, f1 = _curves(frames, labels, progress, classifier)
    yield from ((f"accuracy@{p:.2f}", float(a)) for p, a in zip(progress, accuracy, strict=True))
    yield "gone_at", settles_above(progress, -accuracy, level=-GONE)
    for digit in np.unique(labels):
        yield f"gone_at/{digit}", settles_above(progress, -f1[:, digit], level=-GONE)


def reverse_recognition(frames, labels, *, progress, classifier=None):
    """Yields accuracy along the reverse process and the share of it from which digits are readable.

    Args:
        frames: uint8, (S, N, 28, 28, 1), from noise to clean.
        labels: int, (N,).
        progress: (S,), share of the denoising done, ascending in 0..1.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        Iterator of `("accuracy@<progress>", share)`, `("readable_at", progress)` and `("readable_at/<digit>",
        progress)`: from where on accuracy, or F1, stays at 0.9 or more.

    Raises:
        ValueError: If an argument is not as described.
    """
    accuracy, f1 = _curves(frames, labels, progress, classifier)
    yield from ((f"accuracy@{p:.2f}", float(a)) for p, a in zip(progress, accuracy, strict=True))
    yield "readable_at", settles_above(progress, accuracy, level=READABLE)
    for digit in np.unique(labels):
        yield f"readable_at/{digit}", settles_above(progress, f1[:, digit], level=READABLE)


def _curves(frames, labels, progress, classifier):
    """`curves` of `confusions`, once `progress` is known to fit."""
    progress = np.asarray(progress)
    if progress.shape != (len(frames),) or np.any(np.diff(progress) <= 0):
        raise ValueError(f"`progress` must be {len(frames)} ascending numbers, one a frame. Received: {progress}")
    return curves(confusions(frames, labels, classifier=classifier))
