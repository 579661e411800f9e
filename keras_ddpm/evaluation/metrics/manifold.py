"""Fidelity and diversity separately: balls around the points of a cloud stand for the region it covers.

B(y_j) is the ball around y_j that reaches its k-th nearest neighbour in its own cloud. With y real and x generated:

    precision = share of the x_i in some B(y_j)           are they where real images are?
    recall    = share of the y_j in some B(x_i)           is every real image within reach?
    density   = mean over i of (number of B(y_j) that contain x_i) / k
    coverage  = share of the B(y_j) that contain some x_i

Density is a precision that a real outlier with its large ball cannot inflate, and may exceed 1; coverage is a recall
that a generated outlier cannot inflate.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

MINIMUM = 100


def precision_recall_density_coverage(
    features: np.ndarray, reference: np.ndarray, *, k: int = 5
) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage of one cloud of features against another.

    Args:
        features: (N, D), generated, N > k.
        reference: (M, D), real, M > k.
        k: The neighbour that a ball reaches; the point itself does not count.

    Returns:
        Precision, recall and coverage in [0, 1] and density >= 0, in the order of the function's name.

    Reference:
        Precision and recall: arXiv 1904.06991, eq. 1-2. Density and coverage: arXiv 2002.09797, eq. 4-5.
    """
    x, y = np.asarray(features, "float64"), np.asarray(reference, "float64")
    radius_x, radius_y = _radii(x, k), _radii(y, k)
    counts: list[int] = []  # how many B(y_j) contain x_i
    nearest, reached = np.full(len(y), np.inf), np.zeros(len(y), bool)
    for distances in pairwise_distances_chunked(x, y, working_memory=256):  # (rows, M), some rows of x at a time
        rows = slice(len(counts), len(counts) + len(distances))
        counts.extend((distances <= radius_y).sum(axis=1))
        nearest = np.minimum(nearest, distances.min(axis=0))
        reached |= (distances <= radius_x[rows, None]).any(axis=0)
    held = np.array(counts)  # (N,)
    return float((held > 0).mean()), float(reached.mean()), float(held.mean() / k), float((nearest <= radius_y).mean())


def _radii(points, k):
    """Distance from each point to its k-th nearest other point, (N,)."""
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors()[0][:, -1]


def manifold(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    reference: tuple[np.ndarray, np.ndarray],
    k: int = 5,
    classifier: Classifier | None = None,
    kind: Kind = DIGITS,
) -> Iterator[tuple[str, float]]:
    """Yields precision, recall, density and coverage in the classifier's features.

    Args:
        images: uint8, (N, H, W, C), N >= 100.
        labels: int, (N,). Checked, but not used.
        reference: `(images, labels)`, real, at least 100. All four depend on both counts: compare at equal ones.
        k: The neighbour that a ball reaches.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        Iterator of `("precision", share)`, `("recall", share)`, `("density", mean)`, `("coverage", share)`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=MINIMUM, kind=kind)
    check_labels(labels, images, kind=kind)
    check_images(reference[0], minimum=MINIMUM, name="reference", kind=kind)
    classifier = classifier or load_classifier()
    values = precision_recall_density_coverage(classifier(images)[1], classifier(reference[0])[1], k=k)
    yield from zip(("precision", "recall", "density", "coverage"), values, strict=True)
