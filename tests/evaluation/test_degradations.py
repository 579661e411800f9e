"""Laws of the ways to degrade a digit."""

import numpy as np
import pytest

from keras_ddpm.evaluation.corruptions import degradations, unseen
from keras_ddpm.evaluation.metrics.clip_reference import REFERENCES, reference_scores

ONE = [
    degradations.blur,
    degradations.diffuse,
    degradations.noise,
    degradations.blobs,
    degradations.shuffle_cells,
    degradations.erase_bands,
    unseen.motion_blur,
    unseen.pixelate,
    degradations.salt_and_pepper,
    unseen.mirror,
    unseen.small_gap,
    unseen.thicken,
    unseen.erode,
]
TWO = [degradations.cross_fade, degradations.splice]


@pytest.fixture
def digits(mnist):
    return tuple(array[:64] for array in mnist["train"])


@pytest.mark.parametrize("degrade", ONE, ids=lambda f: f.__name__)
def test_degraded_images_keep_shape_and_type_and_follow_the_seed(degrade, digits):
    images, before = digits[0], digits[0].copy()
    a, b = (degrade(images, np.random.default_rng(3)) for _ in range(2))
    assert a.shape == images.shape and a.dtype == np.uint8
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(images, before)
    assert np.any(a != images)


@pytest.mark.parametrize("degrade", TWO, ids=lambda f: f.__name__)
def test_mixed_images_lie_between_their_two_sources(degrade, digits):
    images, labels = digits
    rng = np.random.default_rng(3)
    others = images[degradations.partners(labels, rng)]
    mixed = degrade(images, others, rng)
    assert mixed.shape == images.shape and mixed.dtype == np.uint8
    assert np.all(mixed >= np.minimum(images, others)) and np.all(mixed <= np.maximum(images, others))


def test_partners_are_other_digits_and_all_of_them(digits):
    labels = digits[1]
    rng = np.random.default_rng(0)
    draws = np.stack([degradations.partners(labels, rng) for _ in range(600)])
    assert np.all(labels[draws] != labels)
    assert set(draws[:, 0]) == set(np.flatnonzero(labels != labels[0]))


def test_partners_need_two_digits():
    with pytest.raises(ValueError, match="at least two different digits"):
        degradations.partners(np.ones(4, int), np.random.default_rng(0))


def test_shuffling_cells_keeps_every_pixel(digits):
    shuffled = degradations.shuffle_cells(digits[0], np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(shuffled.reshape(64, -1)), np.sort(digits[0].reshape(64, -1)))


def test_diffusing_with_alpha_bar_one_changes_nothing(digits):
    np.testing.assert_array_equal(
        degradations.diffuse(digits[0], np.random.default_rng(0), alpha_bar=(1.0, 1.0)), digits[0]
    )


def test_erasing_only_darkens(digits):
    assert np.all(degradations.erase_bands(digits[0], np.random.default_rng(0)) <= digits[0])


def test_a_wrong_digit_is_never_the_right_one(digits):
    images, labels = REFERENCES["wrong labels"](*digits, rng=np.random.default_rng(0))
    assert np.all(labels != digits[1])
    np.testing.assert_array_equal(images, digits[0])


def test_an_unknown_reference_is_rejected(digits):
    with pytest.raises(ValueError, match=r"wrong labels.*nonsense"):
        next(reference_scores(*digits, names=["nonsense"]))
