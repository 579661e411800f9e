"""When does a digit appear, or disappear? The classifier's answer along the reverse or the forward process.

Frames are the process as uint8 images, one stack of images per step shown. Each step gives a confusion matrix, and from
it

    accuracy     correct / all
    F1(k)        2 correct_k / (asked for k + read as k)

Per class it is F1, not accuracy: in pure noise a classifier reads the same class everywhere, and that class would be
100 % "recognised" where nothing can be seen. Of ten classes, chance is 0.10 for accuracy and at most 0.18 for F1.

The judge was trained on clean images and fails on noisy ones long before the eye does: the curves tell when an image
starts to look like the data, not when a person could guess the class.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import confusion_matrix

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

GONE = 0.2
READABLE = 0.9


def confusions(
    frames: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None, kind: Kind = DIGITS
) -> np.ndarray:
    """Counts at each step how often class i was read as class j.

    Args:
        frames: uint8, (S, N, H, W, C), steps in the order of the process.
        labels: int, (N,), the intended classes, the same at every step.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        int, (S, K, K), K classes.

    Raises:
        ValueError: if frames or labels are not as described.
    """
    if np.ndim(frames) != 5:
        shape = ", ".join(map(str, kind.image_shape))
        raise ValueError(f"`frames` must have shape (S, N, {shape}). Received: {np.shape(frames)}")
    classifier = classifier or load_classifier()
    counts = []
    for images in frames:
        check_images(images, name="frames[i]", kind=kind)
        check_labels(labels, images, kind=kind)
        counts.append(confusion_matrix(labels, classifier(images)[0].argmax(axis=1), labels=range(kind.num_classes)))
    return np.stack(counts)


def curves(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy, and F1 per class, from confusion matrices.

    Args:
        counts: int, (S, K, K).

    Returns:
        `(accuracy, f1)`: (S,) and (S, K); F1 of a class neither asked for nor read is NaN.
    """
    correct = np.diagonal(counts, axis1=1, axis2=2)  # (S, K)
    total = counts.sum(axis=1) + counts.sum(axis=2)  # (S, K), read as k plus asked for k
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
    """Yields from where on accuracy, or a class's F1, stays at 0.2 or below: overall, and per class.

    Args:
        progress: (S,), share of the forward process completed, ascending in 0..1.
        accuracy: (S,).
        f1: (S, K).

    Returns:
        Iterator of `("gone_at", progress)`, `("gone_at/<class>", progress)` for all classes.
    """
    yield "gone_at", settles_above(progress, -accuracy, level=-GONE)
    yield from ((f"gone_at/{k}", settles_above(progress, -f1[:, k], level=-GONE)) for k in range(f1.shape[1]))


def readable_at(progress: np.ndarray, accuracy: np.ndarray, f1: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yields from where on accuracy, or a class's F1, stays at 0.9 or above: overall, and per class.

    Args:
        progress: (S,), share of the reverse process completed, ascending in 0..1.
        accuracy: (S,).
        f1: (S, K).

    Returns:
        Iterator of `("readable_at", progress)`, `("readable_at/<class>", progress)` for all classes.
    """
    yield "readable_at", settles_above(progress, accuracy, level=READABLE)
    yield from ((f"readable_at/{k}", settles_above(progress, f1[:, k], level=READABLE)) for k in range(f1.shape[1]))


def recognition(
    frames: np.ndarray,
    labels: np.ndarray,
    *,
    progress: np.ndarray,
    settled,
    classifier: Classifier | None = None,
    kind: Kind = DIGITS,
) -> dict:
    """Accuracy and F1 along a process, and where they settle.

    Args:
        frames: uint8, (S, N, H, W, C), in the order of the process.
        labels: int, (N,), the intended classes.
        progress: (S,), share of the process completed, ascending in 0..1.
        settled: `gone_at` for the forward process, `readable_at` for the reverse process.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        dict of `progress` and `accuracy`, lists of S; `f1`, S lists of K; and `values`, what `settled` yields for all
        classes and for each class present.

    Raises:
        ValueError: if an argument is not as described.
    """
    progress = np.asarray(progress)
    if progress.shape != (len(frames),) or np.any(np.diff(progress) <= 0):
        raise ValueError(
            f"`progress` must be {len(frames)} ascending numbers, one for each frame. Received: {progress}"
        )
    accuracy, f1 = curves(confusions(frames, labels, classifier=classifier, kind=kind))
    present = {"", *(str(label) for label in np.unique(labels))}
    values = dict(settled(progress, accuracy, f1))
    return {
        "progress": progress.tolist(),
        "accuracy": accuracy.tolist(),
        "f1": f1.tolist(),
        "values": {name: value for name, value in values.items() if name.partition("/")[2] in present},
    }
