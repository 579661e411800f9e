"""Canvas MNIST: each digit is whole, where and as large as its numbers say, and the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_ddpm import data
from keras_ddpm.data import canvas_mnist


@given(st.integers(0, 2**64 - 1), st.sampled_from(canvas_mnist.SPLITS), st.integers(0, 40), st.integers(0, 40))
def test_the_place_of_an_image_depends_on_seed_split_and_place_alone(seed, split, few, more):
    short = canvas_mnist.draw_places(few, split=split, seed=seed)
    long = canvas_mnist.draw_places(few + more, split=split, seed=seed)
    for a, b in zip(short, long, strict=True):
        np.testing.assert_array_equal(a, b[:few])


@given(st.integers(0, 2**64 - 1), st.sampled_from(canvas_mnist.SPLITS))
def test_a_digit_is_always_whole(seed, split):
    side, top, left = canvas_mnist.draw_places(200, split=split, seed=seed)
    assert side.min() >= 20 and side.max() <= 56
    assert min(top.min(), left.min()) >= 0 and max((top + side).max(), (left + side).max()) <= 64


def test_sizes_and_places_are_uniform_and_other_in_another_split_or_from_another_seed():
    side, top, left = canvas_mnist.draw_places(40_000)
    assert np.abs(np.bincount(side)[20:57] * 37 / 40_000 - 1).max() < 0.12 and np.bincount(side)[:20].sum() == 0
    for corner in (top, left):
        assert abs(np.mean(corner / (64 - side)) - 0.5) < 0.01
    assert abs(np.corrcoef(top, left)[0, 1] - np.corrcoef(64 - side, left)[0, 1] ** 2) < 0.03  # by the size alone
    for other in (canvas_mnist.draw_places(100, split="test"), canvas_mnist.draw_places(100, seed=1)):
        assert np.mean(other.left != left[:100]) > 0.9
    np.testing.assert_array_equal(canvas_mnist.draw_places(2).side, side[:2])


@pytest.mark.parametrize("side", [20, 28, 37, 56])
def test_resizing_keeps_grey_levels_the_middle_and_the_share_of_ink(side):
    R = canvas_mnist.resizing(side)
    assert R.shape == (side, 28) and R.min() >= 0
    np.testing.assert_allclose(R.sum(axis=1), 1)
    np.testing.assert_allclose(R.sum(axis=0)[3:-3], side / 28, rtol=0.12)
    line = (R @ np.arange(28.0))[2:-2]  # a straight line stays one
    np.testing.assert_allclose(line, ((np.arange(side) + 0.5) * 28 / side - 0.5)[2:-2], atol=0.1)
    if side == 28:
        np.testing.assert_array_equal(R, np.eye(28))


def test_a_canvas_holds_its_digit_and_is_black_elsewhere():
    digits = np.random.default_rng(0).integers(1, 256, (30, 28, 28, 1), dtype="uint8")
    canvases, places = canvas_mnist.place(digits), canvas_mnist.draw_places(30)
    assert canvases.shape == (30, 64, 64, 1) and canvases.dtype == np.uint8
    for canvas, digit, side, top, left in zip(canvases, digits, *places):
        square = canvas[top : top + side, left : left + side]
        assert np.count_nonzero(canvas) == np.count_nonzero(square) > 0.95 * side**2
        assert abs(square.mean() - digit.mean()) < 4
        if side == 28:
            np.testing.assert_array_equal(square, digit)


def test_canvas_mnist_is_mnist_on_canvases(mnist):
    test = data.load("canvas_mnist", "test")
    np.testing.assert_array_equal(test.labels, mnist["test"][1])
    assert test.image_shape == (64, 64, 1) and test.num_classes == 10
    np.testing.assert_array_equal(test.images[:300], canvas_mnist.place(mnist["test"][0][:300], split="test"))
    side = canvas_mnist.draw_places(10_000, split="test").side
    ink = test.images.mean(axis=(1, 2, 3)) / mnist["test"][0].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(ink, (side / 64) ** 2, rtol=0.05)  # as much of the canvas as its square is
