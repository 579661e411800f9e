"""Are they new? The distance from each generated image to its nearest training image.

With d_1 <= d_2 the distances to the two nearest training images,

    nearest_training = median of d_1               beside the same figure for test images, which are new for certain
    memorised        = share with d_1 < d_2 / 3    one training image is far nearer than any other

in pixels (root mean square difference in [0, 1]) and in the classifier's features. Pixels catch plain copies; features
also catch copies that were moved or redrawn a little, but near a crowded training set they tell copies less surely.

Reference: the ratio test is that of Yoon et al., "Diffusion probabilistic models generalize when they fail to
memorize" (2023).
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.arrays import check_images, check_labels


def two_nearest(points, training):
    """Distances to the two nearest training points.

    Args:
        points: (N, D).
        training: (M, D), M >= 2.

    Returns:
        (N, 2), ascending.
    """
    return NearestNeighbors(n_neighbors=2, algorithm="brute").fit(training).kneighbors(points)[0]


def nearest_pairs(images, training, *, count):
    """The images that come closest to a training image, in pixels, closest first.

    Args:
        images: uint8, (N, 28, 28, 1).
        training: uint8, (M, 28, 28, 1).
        count: How many.

    Returns:
        Indices into `images`, indices into `training`, and distances, each (min(count, N),).
    """
    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(_flat(training)).kneighbors(_flat(images))
    distances, indices = (column[:, 0] for column in found)
    closest = np.argsort(distances)[:count]
    return closest, indices[closest], distances[closest]


def copied(distances, *, ratio=1 / 3):
    """Which points are copies by the ratio test: (N, 2) distances to (N,) booleans. Equal to two twins counts too."""
    return distances[:, 0] <= ratio * np.maximum(distances[:, 1], 1e-4)


def memorisation_in_pixels(images, labels, *, training):
    """Yields distance to the nearest training image and share memorised, in pixels.

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,). Not looked at beyond their validity.
        training: uint8, (M, 28, 28, 1), M >= 2: all of what the generator was trained on, or copies go unseen.

    Returns:
        Iterator of `("nearest_training_in_pixels", median)`, `("memorised_in_pixels", share)`.

    Raises:
        ValueError: If images or labels are not as described.
    """
    _check(images, labels, training)
    distances = two_nearest(_flat(images), _flat(training))
    yield "nearest_training_in_pixels", float(np.median(distances[:, 0]))
    yield "memorised_in_pixels", float(copied(distances).mean())


def memorisation(images, labels, *, training, classifier=None):
    """Yields distance to the nearest training image and share memorised, in the classifier's features.

    Args:
        images: uint8, (N, 28, 28, 1).
        labels: int, (N,). Not looked at beyond their validity.
        training: uint8, (M, 28, 28, 1), M >= 2.
        classifier: Function from images to (probabilities, features); the shipped classifier if None.

    Returns:
        Iterator of `("nearest_training", median)`, `("memorised", share)`.

    Raises:
        ValueError: If images or labels are not as described.
    """
    _check(images, labels, training)
    classifier = classifier or load_classifier()
    distances = two_nearest(classifier(images)[1], classifier(training)[1])
    yield "nearest_training", float(np.median(distances[:, 0]))
    yield "memorised", float(copied(distances).mean())


def _check(images, labels, training):
    check_images(images)
    check_labels(labels, images)
    check_images(training, minimum=2, name="training")


def _flat(images):
    """Pixels as points whose Euclidean distance is the images' root mean square difference, (N, 784)."""
    return images.reshape(len(images), -1).astype("float32") / np.float32(255 * np.sqrt(784))
