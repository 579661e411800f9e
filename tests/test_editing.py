"""Laws of editing: the ends of an interpolation, of a variation and of a film are the plain pictures."""

import itertools

import numpy as np
import pytest

import keras_ddpm
from keras_ddpm import editing

pytestmark = pytest.mark.neutral

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype="uint8")


@pytest.fixture(scope="module")
def settings(served_preset):
    """A sampler with noise in its steps, and a memory of the step before, from noise that is not of strength 1."""
    return {"preset": served_preset, "sampler": "dpm_solver_pp_2m_sde", "steps": 3}


@pytest.fixture(scope="module")
def warm(settings):
    """The same from stronger noise than the preset's own."""
    return {**settings, "temperature": 1.4}


def assert_same(a, b):
    assert a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 1  # rounding of the 1e-6 between batch sizes


@pytest.mark.slow
def test_the_ends_of_an_interpolation_are_the_plain_pictures(warm):
    images = keras_ddpm.interpolate((3, 8), (5, 6), n=5, **warm)
    assert images.shape == (5, 28, 28) and images.dtype == np.uint8
    assert_same(images[[0, -1]], keras_ddpm.sample([3, 8], seed=[5, 6], **warm))
    assert all(np.any(a != b) for a, b in itertools.pairwise(images))


@pytest.mark.slow
def test_between_a_picture_and_itself_there_is_nothing_else(settings):
    images = keras_ddpm.interpolate(3, 5, n=3, **settings)
    assert_same(images, keras_ddpm.sample([3] * 3, seed=[5] * 3, **settings))


@pytest.mark.slow
def test_backwards_is_the_same_way(settings):
    there = keras_ddpm.interpolate((3, 8), (5, 6), n=4, w=(1.0, 3.0), **settings)
    assert_same(keras_ddpm.interpolate((8, 3), (6, 5), n=4, w=(3.0, 1.0), **settings)[::-1], there)


def test_noise_between_two_seeds_is_as_long_as_theirs():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 9, 28, 28, 1)).astype("float32")
    u = np.linspace(0, 1, 9, dtype="float32").reshape(-1, 1, 1, 1)
    between = np.asarray(editing.slerp(a, b, u))
    np.testing.assert_allclose(between.std(axis=(1, 2, 3)), 1, atol=0.07)
    np.testing.assert_allclose(between[[0, -1]], [a[0], b[-1]], atol=1e-5)
    np.testing.assert_allclose(editing.slerp(a, a, u), a, atol=1e-4)


def test_a_variation_of_level_0_is_the_image_and_of_level_1_a_plain_picture(settings):
    np.testing.assert_array_equal(keras_ddpm.vary(IMAGES, 0, seed=1, **settings), IMAGES)
    plain = keras_ddpm.sample(3, seed=[7, 8], **settings)
    for image in IMAGES[:2]:
        assert_same(keras_ddpm.vary(image, 1, digit=3, seed=7, n=2, **settings), plain)


@pytest.mark.slow
def test_a_variation_is_the_nearer_the_lower_its_level(settings):
    changes = [
        np.abs(keras_ddpm.vary(IMAGES, level, digit=[1, 2, 3], seed=1, **settings).astype(float) - IMAGES).mean()
        for level in (0, 0.02, 0.2, 0.9)
    ]
    assert changes == sorted(changes) and changes[0] == 0 < changes[1] < changes[-1]


def test_a_variation_depends_on_its_own_image_digit_and_seed(settings):
    together, seeds = keras_ddpm.vary(IMAGES, 0.6, digit=[1, 8, 3], n=2, return_seeds=True, **settings)
    assert together.shape == (3, 2, 28, 28) and len(set(seeds.reshape(-1).tolist())) == 6
    alone = keras_ddpm.vary(IMAGES[1], 0.6, digit=8, seed=seeds[1, 1], **settings)
    assert_same(alone, together[1, 1])
    assert keras_ddpm.vary(IMAGES[0], 0.6, seed=1, **settings).shape == (28, 28)


def test_a_film_ends_in_the_picture_and_begins_in_noise(warm):
    frames = keras_ddpm.film([3, 8], 2.0, seed=[5, 6], **warm)
    assert frames.shape == (2, 4, 28, 28) and frames.dtype == np.uint8
    assert_same(frames[:, -1], keras_ddpm.sample([3, 8], 2.0, seed=[5, 6], **warm))
    assert_same(frames[0, 0], keras_ddpm.film(1, seed=5, **warm)[0])  # the seed's own noise, whatever the digit


@pytest.mark.parametrize(
    "function, arguments, given, message",
    [
        ("interpolate", ((3, 10), 1), {}, r"`digit` must be in 0\.\.9"),
        ("interpolate", ((1, 2, 3), 1), {}, "must be one each, or pairs"),
        ("interpolate", (3, (1, -1)), {}, "`seed` must be in"),
        ("interpolate", (3, (1, 2)), {"n": 1}, "`n` must be an integer >= 2"),
        ("interpolate", (3, (1, 2)), {"sampler": "best"}, "`sampler` must be one of"),
        ("vary", (IMAGES[0], 1.5), {}, r"`level` must be in 0\.\.1. Received: 1.5"),
        ("vary", (IMAGES[0], float("nan")), {}, "`level` must be in"),
        ("vary", (IMAGES[0] / 255, 0.5), {}, "`image` must be uint8"),
        ("vary", (IMAGES[0, :20], 0.5), {}, r"`image` must be \(28, 28\)"),
        ("vary", (IMAGES[0], 0.5), {"w": 1.0}, "`w` must be None without a `digit`"),
        ("vary", (IMAGES[0], 0.5), {"n": 0}, "`n` must be an integer >= 1"),
        ("vary", (IMAGES, 0.5), {"digit": [1, 2]}, "must broadcast together"),
        ("film", (12,), {}, r"`digit` must be in 0\.\.9"),
        ("film", (3,), {"steps": 0}, "`steps` must be"),
        ("film", (3,), {"temperature": 0}, "`temperature` must be a finite number above 0"),
        ("interpolate", (3, (1, 2)), {"temperature": -1.0}, "`temperature` must be a finite number above 0"),
    ],
)
def test_bad_input_is_one_clear_error(small_preset, function, arguments, given, message):
    with pytest.raises(ValueError, match=message):
        getattr(keras_ddpm, function)(*arguments, preset=small_preset, **given)
