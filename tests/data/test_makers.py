"""Data sets that are made here: scikit-learn's digits, and colour MNIST."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_ddpm import data
from keras_ddpm.data import colour_mnist, datasets


def inks(count, seed=0):
    """Images uint8 (count, 28, 28, 1) with all ink, no ink, and something between."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1), dtype="uint8")
    images[:, 5], images[:, 20] = 255, 0
    return images


def test_the_small_digits_are_8_x_8_uint8_from_black_to_white():
    train, test = (data.load("digits_8x8", split) for split in ("train", "test"))
    assert train.image_shape == (8, 8, 1) and len(train.images) == 1297 and len(test.images) == 500
    assert train.images.dtype == np.uint8 and (train.images.min(), train.images.max()) == (0, 255)
    assert len(np.unique(train.images)) == 17
    for part in (train, test):
        assert np.bincount(part.labels, minlength=10).min() >= len(part.labels) / 10 * 0.9


def test_the_small_digits_are_those_of_the_package_and_the_same_every_time():
    from sklearn.datasets import load_digits

    train, test = (data.load("digits_8x8", split) for split in ("train", "test"))
    whole = load_digits()
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), whole.target)
    np.testing.assert_allclose(np.concatenate([train.images, test.images])[..., 0] / 255 * 16, whole.images, atol=0.04)
    np.testing.assert_array_equal(data.load("digits_8x8", "train").images, train.images)


def test_no_small_digit_is_in_two_of_training_held_out_and_test():
    rest, held_out = data.load("digits_8x8", "train").hold_out(200)
    parts = [{image.tobytes() for image in part.images} for part in (rest, held_out, data.load("digits_8x8", "test"))]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


@pytest.mark.parametrize("name", sorted(datasets.MADE))
def test_made_data_sets_have_two_splits(name):
    with pytest.raises(ValueError, match=rf"`split` of '{name}' must be 'train' or 'test'. Received: 'train\[:9\]'"):
        data.load(name, "train[:9]")


def test_ink_has_the_digits_colour_and_paper_the_grounds():
    digits = inks(40)
    images, digit, ground = colour_mnist.colour(digits)
    assert images.shape == (40, 32, 32, 3) and images.dtype == digit.dtype == ground.dtype == np.uint8
    np.testing.assert_array_equal(images[:, 2 + 5, 10], digit)
    np.testing.assert_array_equal(images[:, 2 + 20, 10], ground)
    for edge in (images[:, :2], images[:, -2:], images[:, :, :2], images[:, :, -2:]):
        np.testing.assert_array_equal(edge, np.broadcast_to(ground[:, None, None], edge.shape))
    ink = digits / 255
    between = ink * digit[:, None, None] + (1 - ink) * ground[:, None, None]
    np.testing.assert_allclose(images[:, 2:-2, 2:-2], between, atol=0.5001)


@given(st.integers(0, 2**64 - 1), st.sampled_from(colour_mnist.SPLITS), st.integers(0, 40), st.integers(0, 40))
def test_the_colours_of_an_image_depend_on_seed_split_and_place_alone(seed, split, few, more):
    short = colour_mnist.draw_colours(few, split=split, seed=seed)
    long = colour_mnist.draw_colours(few + more, split=split, seed=seed)
    for a, b in zip(short, long, strict=True):
        np.testing.assert_array_equal(a, b[:few])


@given(st.integers(0, 2**64 - 1), st.sampled_from(colour_mnist.SPLITS))
def test_digits_are_light_and_grounds_dark(seed, split):
    digit, ground = colour_mnist.draw_colours(200, split=split, seed=seed)
    assert digit.dtype == ground.dtype == np.uint8 and digit.min() >= 160 and ground.max() <= 95


def test_colours_are_uniform_and_other_in_another_split_or_from_another_seed():
    digit, ground = colour_mnist.draw_colours(20_000)
    for colours in (digit - 160, ground):
        assert np.abs(np.bincount(colours.reshape(-1) // 24, minlength=4) / 60_000 - 0.25).max() < 0.01
        assert colours.min() == 0 and colours.max() == 95
    assert (colour_mnist.draw_colours(100, split="test")[0] != digit[:100]).mean() > 0.9
    assert (colour_mnist.draw_colours(100, seed=1)[1] != ground[:100]).mean() > 0.9
    np.testing.assert_array_equal(digit[:2], [[161, 183, 170], [250, 254, 184]])  # the data set keeps its colours


def test_colours_are_read_off_the_images(mnist):
    images, digit, ground = colour_mnist.colour(mnist["test"][0][:500], split="test")
    read = colour_mnist.read_colours(images)
    np.testing.assert_array_equal(read[1], ground)
    difference = np.abs(read[0] - digit)
    assert difference.mean() < 1 and difference.max() < 12
    named = colour_mnist.attributes_of(*read)
    assert list(named) == list(colour_mnist.ATTRIBUTES)
    np.testing.assert_allclose(named["ground_green"], ground[:, 1] / 95)


def test_colour_mnist_is_mnist_in_colour(mnist):
    test = data.load("colour_mnist", "test")
    np.testing.assert_array_equal(test.labels, mnist["test"][1])
    assert test.image_shape == (32, 32, 3) and test.num_classes == 10
    made = colour_mnist.colour(mnist["test"][0][:300], split="test")
    np.testing.assert_array_equal(test.images[:300], made.images)
    named = data.load("colour_mnist", "test", attributes=("ground_blue", "digit_red")).labels
    assert set(named) == {"label", "ground_blue", "digit_red"}
    np.testing.assert_allclose(named["ground_blue"][:300], made.ground_colour[:, 2] / 95, atol=1e-6)
    np.testing.assert_allclose(named["digit_red"][:300], (made.digit_colour[:, 0] - 160.0) / 95, atol=1e-6)
    with pytest.raises(ValueError, match=r"`attributes` must be measured ones, or of 'colour_mnist'.*\['hue'\]"):
        data.load("colour_mnist", "test", attributes=("hue",))


def test_a_fingerprint_is_of_the_images_and_labels_whatever_their_order():
    whole = data.load("digits_8x8", "test")
    order = np.random.default_rng(0).permutation(500)
    shuffled = data.Dataset(whole.images[order], whole.labels[order], 10)
    assert shuffled.fingerprint() == whole.fingerprint() != data.load("digits_8x8", "train").fingerprint()
    assert data.Dataset(whole.images, whole.labels[order], 10).fingerprint() != whole.fingerprint()
    assert data.Dataset(whole.images, whole.labels, 11).fingerprint() != whole.fingerprint()
