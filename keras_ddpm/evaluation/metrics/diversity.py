"""How much do images of one class vary? Distances among generated images with the same label.

    diversity       = mean over classes of mean_{i < j} |h_i - h_j|     drops when a class always looks alike
    nearest_sibling = mean over i of min_{j != i} |h_i - h_j|           drops to 0 when a few images are repeated

in the classifier's features h, and again in pixels, as the root mean square difference in [0, 1]. Read both beside
real images: noise is more "diverse" than any class.
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import pdist, squareform

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

MOST_IMAGES = 1000


def pair_statistics(points: np.ndarray) -> tuple[float, float]:
    """Mean distance over all pairs, and mean distance to the nearest other point.

    Args:
        points: (N, D), N >= 2.

    Returns:
        Two floats.
    """
    distances = squareform(pdist(points))  # (N, N)
    mean = distances.sum() / (len(points) * (len(points) - 1))
    np.fill_diagonal(distances, np.inf)
    return float(mean), float(distances.min(axis=1).mean())


def diversity(
    images: np.ndarray, labels: np.ndarray, *, classifier: Classifier | None = None, kind: Kind = DIGITS
) -> Iterator[tuple[str, float]]:
    """Yields the diversity within a class, in features and in pixels.

    Args:
        images: uint8, (N, H, W, C), at least two of each class present.
        labels: int, (N,). Of each class the first 1000 images count.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        Iterator of `("diversity", mean)`, `("nearest_sibling", mean)`, `("diversity_in_pixels", mean)`,
        `("nearest_sibling_in_pixels", mean)`, and `("diversity/<class>", mean)` per class present.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, minimum=2, kind=kind)
    check_labels(labels, images, kind=kind)
    digits, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        alone = digits[counts.argmin()]
        raise ValueError(f"Diversity needs at least 2 images of each digit. Received: {counts.min()} of digit {alone}")
    _, features = (classifier or load_classifier())(images)
    pixels = images.reshape(len(images), -1)  # (N, H W C)
    pixels = pixels / np.sqrt(pixels.shape[1]) / 255  # Euclidean becomes root mean square
    chosen = [np.flatnonzero(labels == digit)[:MOST_IMAGES] for digit in digits]
    in_features = np.array([pair_statistics(features[c]) for c in chosen])  # (digits, 2)
    in_pixels = np.array([pair_statistics(pixels[c]) for c in chosen])
    yield from zip(("diversity", "nearest_sibling"), in_features.mean(axis=0).tolist(), strict=True)
    yield from zip(("diversity_in_pixels", "nearest_sibling_in_pixels"), in_pixels.mean(axis=0).tolist(), strict=True)
    for digit, (mean, _) in zip(digits, in_features, strict=True):
        yield f"diversity/{digit}", float(mean)
