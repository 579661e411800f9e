"""Are they new? The distance from each generated image to its nearest training image.

With d_1 <= d_2 the distances to the two nearest training images,

    nearest_training = median of d_1               read it beside the same figure for test images, which are new
    memorised        = share with d_1 < d_2 / 3    one training image is far nearer than any other

in pixels (root mean square difference in [0, 1]) and in the classifier's features. Pixels detect plain copies; features
also detect copies that were shifted or slightly redrawn, but less reliably in a dense training set.

Reference: the ratio test is that of Yoon et al., "Diffusion probabilistic models generalize when they fail to
memorize" (2023).
"""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.neighbors import NearestNeighbors

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier

Search = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def two_nearest(points: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two training points nearest to each point.

    Args:
        points: (N, D).
        training: (M, D), M >= 2.

    Returns:
        Distances (N, 2), ascending, and indices into `training` (N, 2).
    """
    return NearestNeighbors(n_neighbors=2, algorithm="brute").fit(training).kneighbors(points)


def two_nearest_images(images: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for uint8 images, (N, H, W, C) and (M, H, W, C); distances are root mean squares in [0, 1]."""
    return search_among(training)(images)


def search_among(training: np.ndarray) -> Search:
    """`two_nearest_images` as a function of the images alone, for many calls with the same training images."""
    neighbours = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(_flat(training))
    return lambda images: neighbours.kneighbors(_flat(images))


def closest_pairs(search: Search, images: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images that come closest to a training image, closest first.

    Args:
        search: Function from images to what `two_nearest_images` returns.
        images: uint8, (N, H, W, C).
        count: How many.

    Returns:
        Indices into `images`, indices into the training images, and distances, each (min(count, N),).
    """
    distances, indices = (column[:, 0] for column in search(images))
    closest = np.argsort(distances)[:count]
    return closest, indices[closest], distances[closest]


def copied(distances: np.ndarray, *, ratio: float = 1 / 3) -> np.ndarray:
    """Which points are copies by the ratio test: (N, 2) distances to (N,) booleans.

    A point that equals two identical training points counts as a copy too.
    """
    return distances[:, 0] <= ratio * np.maximum(distances[:, 1], 1e-4)


def memorisation_in_pixels(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    training: np.ndarray,
    search: Search | None = None,
    kind: Kind = DIGITS,
) -> Iterator[tuple[str, float]]:
    """Yields the distance to the nearest training image and the share memorised, in pixels.

    Args:
        images: uint8, (N, H, W, C).
        labels: int, (N,). Checked, but not used.
        training: uint8, (M, H, W, C), M >= 2: everything the generator was trained on, or copies go unnoticed.
        search: Function from images to what `two_nearest_images` returns, if the search is shared; None searches here.
        kind: What the images are.

    Returns:
        Iterator of `("nearest_training_in_pixels", median)`, `("memorised_in_pixels", share)`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    _check(images, labels, training, kind)
    distances, _ = search(images) if search else two_nearest_images(images, training)
    yield "nearest_training_in_pixels", float(np.median(distances[:, 0]))
    yield "memorised_in_pixels", float(copied(distances).mean())


def memorisation(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    training: np.ndarray,
    classifier: Classifier | None = None,
    kind: Kind = DIGITS,
) -> Iterator[tuple[str, float]]:
    """Yields the distance to the nearest training image and the share memorised, in the classifier's features.

    Args:
        images: uint8, (N, H, W, C).
        labels: int, (N,). Checked, but not used.
        training: uint8, (M, H, W, C), M >= 2.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.
        kind: What the images are.

    Returns:
        Iterator of `("nearest_training", median)`, `("memorised", share)`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    _check(images, labels, training, kind)
    classifier = classifier or load_classifier()
    distances, _ = two_nearest(classifier(images)[1], classifier(training)[1])
    yield "nearest_training", float(np.median(distances[:, 0]))
    yield "memorised", float(copied(distances).mean())


def _check(images, labels, training, kind):
    check_images(images, kind=kind)
    check_labels(labels, images, kind=kind)
    check_images(training, minimum=2, name="training", kind=kind)


def _flat(images):
    """Pixels as points whose Euclidean distance is the images' root mean square difference, (N, H W C)."""
    points = images.reshape(len(images), -1).astype("float32")
    return points / np.float32(255 * np.sqrt(points.shape[1]))
