"""Attributes: right on shapes that are drawn to measure, and where they must not change they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_ddpm.data import attributes

FINE = 8  # points a pixel, each way
r, c = ((np.indices((28 * FINE, 28 * FINE)) + 0.5) / FINE) - 14.0  # down and to the right of the middle, in pixels

IMAGES = arrays.arrays("uint8", (2, 12, 12, 1), elements=st.integers(0, 255))


def drawn(inside):
    """The shape of the points that are inside, as a grey image (1, 28, 28, 1)."""
    return (255 * inside.reshape(28, FINE, 28, FINE).mean(axis=(1, 3)))[None, :, :, None].astype("uint8")


def bar(tangent, width, *, length=18.0):
    """A bar that leans, with level ends: `width` is that of each row."""
    return drawn((np.abs(c + tangent * r) <= width / 2) & (np.abs(r) <= length / 2))


def ring(thickness, *, radius=8.0):
    return drawn(np.abs(np.hypot(r, c) - radius) <= thickness / 2)


@pytest.mark.parametrize("tangent", [-0.8, -0.3, 0.0, 0.25, 0.7])
@pytest.mark.parametrize("width", [4.0, 7.0, 11.0])
def test_a_bar_has_the_slant_and_the_width_that_it_was_drawn_with(tangent, width):
    image = bar(tangent, width)
    assert attributes.slant(image)[0] == pytest.approx(tangent, abs=0.02)
    assert attributes.width(image)[0] == pytest.approx(width, abs=0.25)


@pytest.mark.parametrize("tangent", [-0.6, 0.0, 0.4])
@pytest.mark.parametrize("thickness", [2.0, 3.0, 4.0, 5.0])
def test_a_stroke_has_the_thickness_that_it_was_drawn_with(tangent, thickness):
    found = attributes.thickness(bar(tangent, thickness * np.hypot(1, tangent), length=24.0))[0]
    assert found == pytest.approx(thickness, rel=0.14)  # near its ends the paper is nearer
    assert attributes.thickness(ring(thickness))[0] == pytest.approx(thickness, rel=0.07)


def test_thickness_rises_with_every_third_of_a_pixel():
    found = [attributes.thickness(ring(t))[0] for t in np.arange(1.5, 6, 1 / 3)]
    assert np.all(np.diff(found) > 0)


def all_of(images):
    return {name: measure.of(images) for name, measure in attributes.MEASURES.items()}


def assert_same(found, expected, **changed):
    for name, value in (expected | changed).items():
        np.testing.assert_allclose(found[name], value, atol=2e-4, err_msg=name)


@given(IMAGES)
def test_a_mirror_turns_the_slant_and_nothing_else(images):
    before = all_of(images)
    assert_same(all_of(images[:, :, ::-1]), before, slant=-before["slant"])


@given(IMAGES, st.integers(0, 4), st.integers(0, 4))
def test_a_shift_changes_nothing(images, down, right):
    padded = [np.pad(images, ((0, 0), (a, 4 - a), (b, 4 - b), (0, 0))) for a, b in ((0, 0), (down, right))]
    assert_same(*map(all_of, padded))


@given(arrays.arrays("uint8", (1, 6, 5, 1), elements=st.integers(0, 255)), st.integers(-2, 2))
def test_a_shear_by_pixels_adds_to_the_slant_and_leaves_the_width(images, step):
    sheared = np.zeros((1, 6, 25, 1), "uint8")
    for row in range(6):
        start = 10 + step * (2 - row)
        sheared[:, row, start : start + 5] = images[:, row]
    straight, found = all_of(images), all_of(sheared)
    one_row = np.count_nonzero(images.any(axis=(0, 2, 3))) <= 1  # has no slant
    np.testing.assert_allclose(found["slant"], 0 if one_row else straight["slant"] + step, atol=1e-4)
    np.testing.assert_allclose(found["width"], straight["width"], atol=2e-3)


@given(IMAGES)
def test_a_quarter_turn_leaves_the_thickness(images):
    turned = np.rot90(images, axes=(1, 2))
    np.testing.assert_allclose(attributes.thickness(turned), attributes.thickness(images), atol=1e-5)


@given(IMAGES)
def test_an_image_is_measured_alone(images):
    names = list(attributes.MEASURES)
    whole, alone = attributes.measure(images, names), attributes.measure(images[1:], names)
    for name in names:
        np.testing.assert_array_equal(whole[name][1:], alone[name])


@given(IMAGES)
def test_what_is_measured_can_be_asked_for(images):
    for name, values in attributes.measure(images, list(attributes.MEASURES)).items():
        condition = attributes.MEASURES[name].condition
        assert values.dtype == np.float32
        np.testing.assert_array_equal(condition.check(values, name), values)


def test_an_empty_image_has_no_attributes():
    assert_same(all_of(np.zeros((1, 28, 28, 1), "uint8")), {"thickness": 0, "slant": 0, "width": 0})


def test_colours_are_measured_by_their_mean():
    grey = bar(0.3, 4.0)
    assert_same(all_of(np.repeat(grey, 3, axis=3)), all_of(grey))


def test_nearly_all_digits_lie_inside_the_ranges(mnist):
    found = attributes.measure(mnist["train"][0][:2000], list(attributes.MEASURES))
    for name, values in found.items():
        condition = attributes.MEASURES[name].condition
        assert np.mean((values == condition.low) | (values == condition.high)) < 0.02, name
        assert np.std(values) > 0.1 * (condition.high - condition.low), name
