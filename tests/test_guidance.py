"""Laws of guidance and thresholding, with a network that is a formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddpm import guidance, schedules
from keras_ddpm.diffusion import PREDICTIONS, Diffusion

pytestmark = pytest.mark.neutral
NULL = 10
LABEL = np.array([3, 7, 0], "int32")
T_NOW = np.int32(60)


class Formula:
    """Predicts (1 + label) / 10 x_t, and counts the images of each call."""

    def __init__(self):
        self.batches = []

    def __call__(self, x_t, t, label):
        self.batches.append(int(x_t.shape[0]))
        assert t.shape == label.shape == (x_t.shape[0],)
        return ops.reshape(1.0 + ops.cast(label, "float32"), (-1, 1, 1, 1)) / 10.0 * x_t


@pytest.fixture
def x_t():
    return np.random.default_rng(0).standard_normal((3, 4, 4, 1)).astype("float32")


@pytest.fixture(params=PREDICTIONS)
def diffusion(request):
    return Diffusion(schedules.cosine(100), request.param)


def test_w_0_is_unconditional_and_w_1_conditional(diffusion, x_t):
    network = Formula()
    unconditional = guidance.conditional(network, diffusion, np.full_like(LABEL, NULL))(x_t, T_NOW)
    conditional = guidance.conditional(network, diffusion, LABEL)(x_t, T_NOW)
    for w, expected in ((0.0, unconditional), (1.0, conditional)):
        guided = guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, w, "float32"))
        np.testing.assert_allclose(guided(x_t, T_NOW), expected, atol=1e-5)


def test_guidance_is_the_same_line_in_eps_as_in_the_networks_own_prediction(diffusion, x_t):
    network, w = Formula(), 3.0
    guided = guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, w, "float32"))(x_t, T_NOW)
    eps = {
        label[0]: diffusion.eps(guidance.conditional(network, diffusion, label)(x_t, T_NOW), x_t, T_NOW)
        for label in (np.full_like(LABEL, NULL), LABEL)
    }
    uncond, cond = eps[NULL], eps[LABEL[0]]
    np.testing.assert_allclose(diffusion.eps(guided, x_t, T_NOW), uncond + w * (cond - uncond), atol=1e-4)


def test_each_image_has_its_own_w(diffusion, x_t):
    network, ws = Formula(), np.array([0.0, 1.0, 5.0], "float32")
    mixed = guidance.classifier_free(network, diffusion, LABEL, NULL, ws)(x_t, T_NOW)
    for i, w in enumerate(ws):
        alone = guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, w))(x_t, T_NOW)
        np.testing.assert_allclose(mixed[i], alone[i], atol=1e-6)


def test_both_predictions_come_from_one_batch(diffusion, x_t):
    network = Formula()
    guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, 2.0, "float32"))(x_t, T_NOW)
    assert network.batches[-1] == 6


def test_where_every_w_is_1_the_network_is_called_for_b_images_only(diffusion, x_t):
    calls = []

    def network(x_t, t, label):
        calls.append(int(x_t.shape[0]))
        return x_t

    guidance.classifier_free(network, diffusion, LABEL, NULL, np.ones(3, "float32"))(x_t, T_NOW)
    assert 3 in calls  # JAX traces both branches and runs one; TensorFlow calls the one alone
    assert calls == [3] or keras.backend.backend() == "jax"


def test_outside_its_interval_guidance_is_off_but_w_below_1_stays():
    diffusion = Diffusion(schedules.cosine(100))
    level = np.sqrt(1 / diffusion.alpha_bar - 1)
    strength = guidance.within((0.5, 2.0), diffusion)
    for t in (0, 20, 40, 60, 80, 99):
        inside = 0.5 <= level[t] <= 2.0
        w = strength(np.array([0.0, 0.5, 1.0, 3.0], "float32"), np.int32(t))
        np.testing.assert_allclose(w, [0, 0.5, 1, 3.0 if inside else 1.0])


@pytest.mark.parametrize("interval", [(2.0, 1.0), (-1.0, 1.0), (1.0, 1.0)])
def test_an_empty_interval_is_named(interval):
    with pytest.raises(ValueError, match="guidance_interval"):
        guidance.within(interval, Diffusion(schedules.cosine(10)))


def test_clip_limits_x_0_to_the_range_of_images():
    x = np.array([-3, -1, 0.5, 4], "float32").reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(guidance.clip(lambda x, t: x)(x, 0), np.clip(x, -1, 1))


def test_dynamic_threshold_divides_by_the_quantile_of_each_image():
    small, large = np.linspace(-0.5, 0.5, 16), np.linspace(-4, 4, 16)
    x = np.stack([small, large]).reshape(2, 4, 4, 1).astype("float32")
    out = np.asarray(guidance.dynamic_threshold(lambda x, t: x, quantile=0.9)(x, 0))
    np.testing.assert_allclose(out[0], x[0], atol=1e-6)
    s = np.quantile(np.abs(x[1]), 0.9)
    np.testing.assert_allclose(out[1], np.clip(x[1], -s, s) / s, atol=1e-6)


def test_no_threshold_leaves_x_0_alone():
    assert guidance.unlimited(clip := guidance.clip) is clip
