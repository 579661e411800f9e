"""When does a digit appear, or disappear? The classifier's answer along the reverse or the forward process.

Frames are the process as uint8 images, one stack of images per step shown. Each step gives a confusion matrix, and from
it

    accuracy     correct / all
    F1(d)        2 correct_d / (asked for d + read as d)

Per digit it is F1, not accuracy: in pure noise a classifier reads the same digit everywhere, and that digit would be
100 % "recognised" where nothing can be seen. Chance is 0.10 for accuracy and at most 0.18 for F1.

The shipped classifier was trained on clean digits and fails on noisy ones long before the eye does: the curves tell
when an image starts to look like the data, not when a person could guess the digit.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import confusion_matrix

from keras_ddpm.evaluation.arrays import NUM_CLASSES, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

GONE = 0.2
READABLE = 0.9


def confusions(frames: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None) -> np.ndarray:
    """Counts at each step how often digit i was read as digit j.

    Args:
        frames: uint8, (S, N, 28, 28, 1), steps in the order of the process.
        labels: int, (N,), the intended digits, the same at every step.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        int, (S, 10, 10).

    Raises:
        ValueError: if frames or labels are not as described.
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


def curves(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy, and F1 per digit, from confusion matrices.

    Args:
        counts: int, (S, 10, 10).

    Returns:
        `(accuracy, f1)`: (S,) and (S, 10); F1 of a digit neither asked for nor read is NaN.
    """
    correct = np.diagonal(counts, axis1=1, axis2=2)  # (S, 10)
    total = counts.sum(axis=1) + counts.sum(axis=2)  # (S, 10), read as d plus asked for d
    f1 = np.divide(2.0 * correct, total, out=np.full(correct.shape, np.nan), where=total > 0)
    return correct.sum(axis=1) / counts.sum(axis=(1, 2)), f1


def settles_above(progress: np.ndarray, values: np.ndarray, *, level: float) -> float:
    """The first progress from which on all values reach a level.

    Args:
        progress: (S,), ascending.
        values: (S,).
        level: The level.

    Returns:
        A value of `progress`, or NaN if the last value is below the level.
    """
    below = np.flatnonzero(~(np.asarray(values) >= level))
    first = below[-1] + 1 if len(below) else 0
    return float(progress[first]) if first < len(progress) else float("nan")


def gone_at(progress: np.ndarray, accuracy: np.ndarray, f1: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yields from where on accuracy, or a digit's F1, stays at 0.2 or below: overall, and per digit.

    Args:
        progress: (S,), share of the forward process completed, ascending in 0..1.
        accuracy: (S,).
        f1: (S, 10).

    Returns:
        Iterator of `("gone_at", progress)`, `("gone_at/<digit>", progress)` for the ten digits.
    """
    yield "gone_at", settles_above(progress, -accuracy, level=-GONE)
    yield from ((f"gone_at/{d}", settles_above(progress, -f1[:, d], level=-GONE)) for d in range(NUM_CLASSES))


def readable_at(progress: np.ndarray, accuracy: np.ndarray, f1: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yields from where on accuracy, or a digit's F1, stays at 0.9 or above: overall, and per digit.

    Args:
        progress: (S,), share of the reverse process completed, ascending in 0..1.
        accuracy: (S,).
        f1: (S, 10).

    Returns:
        Iterator of `("readable_at", progress)`, `("readable_at/<digit>", progress)` for the ten digits.
    """
    yield "readable_at", settles_above(progress, accuracy, level=READABLE)
    yield from ((f"readable_at/{d}", settles_above(progress, f1[:, d], level=READABLE)) for d in range(NUM_CLASSES))


def recognition(
    frames: np.ndarray, labels: np.ndarray, *, progress: np.ndarray, settled, classifier: Classifier | None = None
) -> dict:
    """Accuracy and F1 along a process, and where they settle.

    Args:
        frames: uint8, (S, N, 28, 28, 1), in the order of the process.
        labels: int, (N,), the intended digits.
        progress: (S,), share of the process completed, ascending in 0..1.
        settled: `gone_at` for the forward process, `readable_at` for the reverse process.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        dict of `progress` and `accuracy`, lists of S; `f1`, S lists of 10; and `values`, what `settled` yields for all
        digits and for each digit present.

    Raises:
        ValueError: if an argument is not as described.
    """
    progress = np.asarray(progress)
    if progress.shape != (len(frames),) or np.any(np.diff(progress) <= 0):
        raise ValueError(
            f"`progress` must be {len(frames)} ascending numbers, one for each frame. Received: {progress}"
        )
    accuracy, f1 = curves(confusions(frames, labels, classifier=classifier))
    present = {"", *(str(digit) for digit in np.unique(labels))}
    values = dict(settled(progress, accuracy, f1))
    return {
        "progress": progress.tolist(),
        "accuracy": accuracy.tolist(),
        "f1": f1.tolist(),
        "values": {name: value for name, value in values.items() if name.partition("/")[2] in present},
    }
