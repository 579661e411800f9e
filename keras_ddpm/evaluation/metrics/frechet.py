"""How far is the cloud of generated images, in the classifier's features, from the cloud of real ones?

Fréchet distance between the Gaussians with the clouds' means and covariances (arXiv 1706.08500, eq. 6):

    d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1^(1/2) C_2 C_1^(1/2))^(1/2))

It is biased upwards at small N: read it beside real images at the same N. Kernel distance, the squared maximum mean
discrepancy under k(x, y) = (x . y / D + 1)^3 (arXiv 1801.01401, eq. 4), is unbiased and may be negative:

    d^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

Neither looks at labels, so swapped labels change nothing; `kernel_distance_within_digit` averages the second over
pairs of clouds with the same label.

# Deviation: features come from the judge instead of Inception, and the kernel mean runs over all pairs
# instead of random subsets. Values can be compared with each other, but not with published ones.
"""

from collections.abc import Iterator

import numpy as np
from scipy import linalg
from sklearn.metrics.pairwise import polynomial_kernel

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

MINIMUM = 100


def gaussian_frechet(mean_1: np.ndarray, cov_1: np.ndarray, *, mean_2: np.ndarray, cov_2: np.ndarray) -> float:
    """Squared Fréchet distance between two Gaussians.

    Args:
        mean_1: (D,).
        cov_1: (D, D), symmetric, positive semi-definite; may be singular.
        mean_2: (D,).
        cov_2: (D, D), likewise.

    Returns:
        A float >= 0.

    Reference:
        arXiv 1706.08500, eq. 6.
    """
    # Not scipy.linalg.sqrtm: features are often constant in some directions, and it is inaccurate when C is singular.
    values, vectors = linalg.eigh(cov_1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T  # (D, D), C_1^(1/2)
    inner = linalg.eigvalsh(root @ cov_2 @ root)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    square = np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1) + np.trace(cov_2) - 2 * cross
    return float(max(square, 0.0))


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Squared Fréchet distance between two clouds of features, (N, D) and (M, D)."""
    x, y = np.asarray(features, "float64"), np.asarray(reference, "float64")
    return gaussian_frechet(x.mean(0), np.cov(x, rowvar=False), mean_2=y.mean(0), cov_2=np.cov(y, rowvar=False))


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy between two clouds of features, (N, D) and (M, D)."""
    x, y = np.asarray(features, "float64"), np.asarray(reference, "float64")
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - _kernel_diagonal(x).sum()) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - _kernel_diagonal(y).sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * _kernel_sum(x, y) / (n * m))


def _kernel_sum(x, y, block=1000):
    """Sum of k(x_i, y_j) over all pairs, one block of rows at a time."""
    return sum(polynomial_kernel(x[i : i + block], y, degree=3, coef0=1).sum() for i in range(0, len(x), block))


def _kernel_diagonal(x):
    """k(x_i, x_i), (N,)."""
    return ((x**2).sum(axis=1) / x.shape[1] + 1) ** 3


def distances(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    reference: tuple[np.ndarray, np.ndarray],
    classifier: Classifier | None = None,
    kind: Kind = DIGITS,
) -> Iterator[tuple[str, float]]:
    """Yields Fréchet distance, kernel distance, and kernel distance within a class.

    Args:
        images: uint8, (N, H, W, C), N >= 100.
        labels: int, (N,).
        reference: `(images, labels)`, real, at least 100.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        Iterator of `("frechet_distance", d^2)`, `("kernel_distance", d^2)`, `("kernel_distance_within_digit", mean)`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=MINIMUM, kind=kind)
    check_labels(labels, images, kind=kind)
    check_images(reference[0], minimum=MINIMUM, name="reference", kind=kind)
    check_labels(reference[1], reference[0], name="reference labels", kind=kind)
    classifier = classifier or load_classifier()
    (_, x), (_, y) = classifier(images), classifier(reference[0])
    yield "frechet_distance", frechet_distance(x, y)
    yield "kernel_distance", kernel_distance(x, y)
    pairs = [(x[labels == digit], y[reference[1] == digit]) for digit in np.unique(labels)]
    within = [kernel_distance(a, b) for a, b in pairs if min(len(a), len(b)) > 1]
    yield "kernel_distance_within_digit", float(np.mean(within)) if within else float("nan")
