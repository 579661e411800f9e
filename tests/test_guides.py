"""Laws of guidance by the gradient of a score: Bayes' rule on Gaussians, then CLIP on digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import keras_ddpm
from keras_ddpm import guidance, guides, presets, schedules
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator

MEAN, DEVIATION = 0.1, 0.3
DIFFUSION = Diffusion(schedules.cosine(100))


@pytest.fixture
def x_t():
    return 0.1 * np.random.default_rng(0).standard_normal((3, 4, 4, 1)).astype("float32")


def gaussian(x_t, t):
    """E[x_0 | x_t] of pixels from N(MEAN, DEVIATION^2)."""
    alpha, sigma = DIFFUSION.alpha_sigma(t)
    return (DEVIATION**2 * alpha * x_t + sigma**2 * MEAN) / (alpha**2 * DEVIATION**2 + sigma**2)


@pytest.mark.neutral
@given(st.floats(0.05, 0.7), st.floats(-0.4, 0.4), st.floats(0.2, 1.0), st.integers(0, 99))
def test_with_the_likelihood_of_the_noisy_image_it_is_bayes_rule(t, y, tau, seed):
    alpha, sigma = (float(a) for a in DIFFUSION.alpha_sigma(t))
    x_t = 0.1 * np.random.default_rng(seed).standard_normal((2, 3, 3, 1)).astype("float32")
    variance = DEVIATION**2 * sigma**2 / (alpha**2 * DEVIATION**2 + sigma**2)  # of x_0 given x_t

    def score(x_0):  # log N(y; x_0, tau^2 + variance)
        return -0.5 * ops.sum(ops.square(y - x_0), axis=(1, 2, 3)) / (tau**2 + variance)

    found = guidance.toward(gaussian, score, DIFFUSION, levels=(0.01, 100.0))(x_t, np.float32(t))
    x_0 = np.asarray(gaussian(x_t, np.float32(t)))
    posterior = (tau**2 * x_0 + variance * y) / (tau**2 + variance)  # E[x_0 | x_t, y]
    np.testing.assert_allclose(found, posterior, atol=2e-5)


@pytest.mark.neutral
def test_the_move_is_in_proportion_to_the_scale(x_t):
    def moved(scale):
        wrapped = guidance.toward(gaussian, lambda x_0: ops.sum(x_0, axis=(1, 2, 3)), DIFFUSION, scale=scale)
        return np.asarray(wrapped(x_t, np.float32(0.5))) - np.asarray(gaussian(x_t, np.float32(0.5)))

    assert moved(1.0).min() > 0
    np.testing.assert_allclose(moved(-2.5), -2.5 * moved(1.0), rtol=1e-3)


@pytest.mark.neutral
def test_outside_the_levels_and_at_scale_0_nothing_moves(x_t):
    def score(x_0):
        return 1e6 * ops.sum(x_0, axis=(1, 2, 3))

    wrapped = guidance.toward(gaussian, score, DIFFUSION, levels=(0.5, 2.0))
    for level, moves in ((0.3, False), (1.0, True), (3.0, False)):
        t = np.float32(np.arctan(level) * 2 / np.pi)  # of the cosine schedule, nearly
        farthest = np.abs(np.asarray(wrapped(x_t, t)) - np.asarray(gaussian(x_t, t))).max()
        assert farthest > 1e3 if moves else farthest < 1e-6, level
    assert guidance.toward(gaussian, score, DIFFUSION, scale=0.0) is gaussian


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"scale": np.nan}, "`scale` must be finite. Received: nan"),
        ({"levels": (2.0, 1.0)}, "`levels` must be"),
        ({"levels": (0.0, np.inf)}, "`levels` must be"),
    ],
)
def test_what_cannot_be_moved_by_is_an_error(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        guidance.toward(gaussian, lambda x_0: x_0, DIFFUSION, **arguments)


def test_clip_prefers_the_digit_that_is_there_and_says_nothing_of_an_unknown_one(mnist):
    images, labels = mnist["test"]
    shown = np.stack([images[(labels == digit).argmax()] for digit in range(10)]) / np.float32(127.5) - 1
    score = guides.ClipGuide()
    table = np.stack([score(shown, {"label": np.full(10, digit)}) for digit in range(10)])
    assert (table.argmax(axis=0) == np.arange(10)).all() and (table < 0).all()
    np.testing.assert_array_equal(score(shown, {"label": np.full(10, 10)}), np.zeros(10))


def test_a_small_step_up_the_gradient_raises_clips_score(mnist):
    images, labels = (array[:4] for array in mnist["test"])
    x_0, other = images / np.float32(127.5) - 1, {"label": (labels + 1) % 10}
    score = guides.ClipGuide()
    wrapped = guidance.toward(lambda x, t: x, lambda x: score(x, other), DIFFUSION, scale=0.02)
    moved = ops.clip(wrapped(x_0, np.float32(0.5)), -1.0, 1.0)
    assert (np.asarray(score(moved, other)) > np.asarray(score(x_0, other))).all()


@pytest.mark.slow
def test_a_guided_generator_is_another_that_can_be_saved(small_preset, tmp_path):
    given = {"digit": np.array([3, 7]), "w": 2.0, "seed": np.array([1, 2])}
    plain = presets.load_preset(small_preset)  # five steps: a loop in the graph, not five copies
    guided = presets.load_preset(small_preset, guide="clip", guide_scale=5.0)
    images = guided.images(**given).astype(int)
    assert np.abs(images - plain.images(**given)).max() > 5
    again = Generator.from_config(guided.get_config())
    again.network.set_weights(guided.network.get_weights())
    assert np.abs(again.images(**given).astype(int) - images).max() <= 1


def test_a_scale_of_0_turns_a_presets_guide_off(small_preset):
    given = {"preset": small_preset, "digit": [3, 7], "w": 2.0, "seed": [1, 2]}
    plain = keras_ddpm.sample(**given)
    np.testing.assert_array_equal(keras_ddpm.sample(**given, guide="clip", guide_scale=0.0), plain)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"guide": "me"}, "`guide` must be one of"),
        ({"guide": "clip", "guide_scale": np.inf}, "`guide_scale` must be a finite number"),
        ({"guide": "clip", "runtime": "litert"}, "`guide` needs `runtime` None"),
    ],
)
def test_sample_says_what_it_cannot_be_guided_by(small_preset, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        keras_ddpm.sample(3, preset=small_preset, **arguments)


def test_a_guide_of_digits_refuses_other_images_and_an_export_any_guide(small_preset, tmp_path):
    with pytest.raises(ValueError, match="`guide` 'clip' knows digits of 28 x 28 pixels"):
        guides.load("clip", (8, 8, 1), 10)
    from export.savedmodel import export

    with pytest.raises(ValueError, match="`guide` must be None: what is exported has no gradients"):
        export(small_preset, tmp_path / "model", sampling={"guide": "clip"})
    with pytest.raises(ValueError, match="`weak` must be the preset's own"):
        export(small_preset, tmp_path / "model", sampling={"guidance": "autoguidance", "weak": str(small_preset)})
    assert not (tmp_path / "model").exists()
