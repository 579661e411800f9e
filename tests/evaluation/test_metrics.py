"""Accuracy, diversity, memorisation and pixels on inputs whose answers are known."""

import numpy as np
import pytest

from keras_ddpm.evaluation.metrics.accuracy import accuracy, confusion
from keras_ddpm.evaluation.metrics.diversity import diversity, pair_statistics
from keras_ddpm.evaluation.metrics.memorisation import copied, memorisation, memorisation_in_pixels, two_nearest
from keras_ddpm.evaluation.metrics.pixels import pixels

LABELS = np.arange(20) % 10


def showing(digits):
    """Images that `oracle` reads as these digits."""
    images = np.zeros((len(digits), 28, 28, 1), "uint8")
    images[:, 0, 0, 0] = digits
    return images


def oracle(images):
    """Reads the digit in the first pixel; its feature is the whole first row."""
    return 0.5 * np.eye(10)[images[:, 0, 0, 0]] + 0.05, images[:, 0, :, 0].astype("float64")


def test_accuracy_counts_the_right_ones_over_all_and_per_digit():
    read = np.where(LABELS == 4, 9, LABELS)
    values = dict(accuracy(showing(read), LABELS, classifier=oracle))
    assert values["accuracy"] == pytest.approx(0.9)
    assert (values["accuracy/4"], values["accuracy/9"]) == (0, 1)
    assert values["confidence"] == pytest.approx(0.55)


def test_confusion_has_asked_in_rows_and_read_in_columns():
    counts = confusion(showing(np.where(LABELS == 4, 9, LABELS)), LABELS, classifier=oracle)
    assert (counts[4, 9], counts[4, 4], counts[9, 4]) == (2, 0, 0)
    assert counts.sum() == 20


def test_pair_statistics_are_the_double_loop():
    x = np.random.default_rng(0).normal(size=(9, 3))
    d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    mean = np.mean([d[i, j] for i in range(9) for j in range(9) if i != j])
    nearest = np.mean([min(d[i, j] for j in range(9) if j != i) for i in range(9)])
    assert pair_statistics(x) == pytest.approx((mean, nearest))


def test_identical_images_have_no_diversity():
    values = dict(diversity(showing(LABELS), LABELS, classifier=oracle))
    assert {v for n, v in values.items()} == {0.0}


def test_pixel_diversity_is_root_mean_square():
    images = np.zeros((2, 28, 28, 1), "uint8")
    images[1] = 51
    values = dict(diversity(images, np.array([3, 3]), classifier=lambda images: (None, np.zeros((2, 4)))))
    assert values["diversity_in_pixels"] == pytest.approx(0.2)


def test_diversity_looks_within_a_digit_only():
    images = showing(LABELS)
    images[:, 0, 1, 0] = 10 * LABELS  # classes far apart, alike within
    assert dict(diversity(images, LABELS, classifier=oracle))["diversity"] == 0


def test_two_nearest_is_a_sorted_brute_force():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(11, 4))
    expected = np.sort(np.linalg.norm(x[:, None] - y[None], axis=2), axis=1)[:, :2]
    distances, indices = two_nearest(x, y)
    np.testing.assert_allclose(distances, expected)
    np.testing.assert_allclose(np.linalg.norm(x[:, None] - y[indices], axis=2), expected)


def test_the_ratio_test():
    distances = np.array([[0.0, 1.0], [0.3, 1.0], [0.4, 1.0], [0.0, 0.0]])
    assert copied(distances).tolist() == [True, True, False, True]


def test_copies_are_memorised_and_new_images_are_not():
    rng = np.random.default_rng(2)
    training = rng.integers(0, 256, (50, 28, 28, 1), dtype="uint8")
    new = rng.integers(0, 256, (50, 28, 28, 1), dtype="uint8")
    labels = np.zeros(50, int)
    half = np.concatenate([training[:10], new[:30]])
    assert dict(memorisation_in_pixels(half, labels[:40], training=training))["memorised_in_pixels"] == 0.25
    classifier = lambda images: (None, images[:, 0, :, 0].astype("float64"))  # noqa: E731
    assert dict(memorisation(half, labels[:40], training=training, classifier=classifier))["memorised"] == 0.25


def test_nearest_training_image_is_measured_in_root_mean_square():
    training = np.stack([np.full((28, 28, 1), v, "uint8") for v in (0, 255)])
    image = np.full((1, 28, 28, 1), 51, "uint8")
    values = dict(memorisation_in_pixels(image, np.array([0]), training=training))
    assert values["nearest_training_in_pixels"] == pytest.approx(0.2, rel=1e-5)


def test_pixels_are_shares_of_black_white_and_grey():
    images = np.zeros((1, 28, 28, 1), "uint8")
    images[0, :7], images[0, 7:14] = 255, 100
    values = dict(pixels(images, np.array([0])))
    assert (values["black"], values["white"], values["grey"]) == (0.5, 0.25, 0.25)
    assert values["pixel_mean"] == pytest.approx((255 + 100) / 4 / 255)
