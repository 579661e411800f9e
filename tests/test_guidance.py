"""Laws of guidance and thresholding, with a network that is a formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddpm import guidance, schedules
from keras_ddpm.diffusion import PREDICTIONS, Diffusion

pytestmark = pytest.mark.neutral
NULL = {"label": 10}
LABEL = {"label": np.array([3, 7, 0], "int32")}
NOTHING = {"label": np.full(3, 10, "int32")}
T_NOW = np.float32(0.61)


class Formula:
    """Predicts (1 + label) / 10 x_t, and counts the images of each call."""

    def __init__(self):
        self.batches = []

    def __call__(self, x_t, t, condition, training=None):
        label = condition["label"]
        self.batches.append(int(x_t.shape[0]))
        assert t.shape == label.shape == (x_t.shape[0],)
        return ops.reshape(1.0 + ops.cast(label, "float32"), (-1, 1, 1, 1)) / 10.0 * x_t


@pytest.fixture
def x_t():
    return np.random.default_rng(0).standard_normal((3, 4, 4, 1)).astype("float32")


@pytest.fixture(params=PREDICTIONS)
def diffusion(request):
    return Diffusion(schedules.cosine(100), request.param)


@pytest.fixture
def two_conditions():
    return {"label": np.array([3, 7, 0], "int32"), "slant": np.array([0.1, 0.2, -0.4], "float32")}


def test_w_0_is_unconditional_and_w_1_conditional(diffusion, x_t):
    network = Formula()
    unconditional = guidance.conditional(network, diffusion, NOTHING)(x_t, T_NOW)
    conditional = guidance.conditional(network, diffusion, LABEL)(x_t, T_NOW)
    for w, expected in ((0.0, unconditional), (1.0, conditional)):
        guided = guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, w, "float32"))
        np.testing.assert_allclose(guided(x_t, T_NOW), expected, atol=1e-5)


def test_guidance_is_the_same_line_in_eps_as_in_the_networks_own_prediction(diffusion, x_t):
    network, w = Formula(), 3.0
    guided = guidance.classifier_free(network, diffusion, LABEL, NULL, np.full(3, w, "float32"))(x_t, T_NOW)
    uncond, cond = (
        diffusion.eps(guidance.conditional(network, diffusion, condition)(x_t, T_NOW), x_t, T_NOW)
        for condition in (NOTHING, LABEL)
    )
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


def test_every_condition_is_dropped_in_the_unconditional_half(diffusion, x_t, two_conditions):
    seen = []

    def network(x_t, t, condition, training=None):
        seen.append({name: np.asarray(value) for name, value in condition.items()})
        return x_t

    null, w = {"label": 10, "slant": float("nan")}, np.full(3, 2.0, "float32")
    guidance.classifier_free(network, diffusion, two_conditions, null, w)(x_t, T_NOW)
    both = seen[-1]
    assert both["label"].tolist() == [3, 7, 0, 10, 10, 10]
    np.testing.assert_allclose(both["slant"], [0.1, 0.2, -0.4, np.nan, np.nan, np.nan], rtol=1e-6)


def test_where_every_w_is_1_the_network_is_called_for_b_images_only(diffusion, x_t):
    calls = []

    def network(x_t, t, condition, training=None):
        calls.append(int(x_t.shape[0]))
        return x_t

    guidance.classifier_free(network, diffusion, LABEL, NULL, np.ones(3, "float32"))(x_t, T_NOW)
    assert 3 in calls  # JAX traces both branches and runs one; TensorFlow calls the one alone
    assert calls == [3] or keras.backend.backend() == "jax"


def test_outside_its_interval_guidance_is_off_but_w_below_1_stays():
    diffusion = Diffusion(schedules.cosine(100))
    level = np.sqrt(1 / diffusion.schedule.alpha_bar - 1)
    strength = guidance.within((0.5, 2.0), diffusion)
    for t in (0, 20, 40, 60, 80, 99):
        inside = 0.5 <= level[t] <= 2.0
        w = strength(np.array([0.0, 0.5, 1.0, 3.0], "float32"), np.float32((t + 1) / 100))
        np.testing.assert_allclose(w, [0, 0.5, 1, 3.0 if inside else 1.0])


def test_each_image_may_have_its_own_time(diffusion, x_t):
    w, times = np.full(3, 2.0, "float32"), np.array([0.3, 0.61, 0.9], "float32")
    guided = guidance.classifier_free(Formula(), diffusion, LABEL, NULL, w, interval=(0.7, 2.5))
    together = guided(x_t, times)
    for i, t in enumerate(times):
        np.testing.assert_allclose(together[i], guided(x_t, t)[i], atol=1e-5)


def test_an_interval_without_an_end_guides_where_no_signal_is_left():
    diffusion = Diffusion(schedules.flow_matching)
    strength = guidance.within((0.5, np.inf), diffusion)
    for t, inside in ((0.1, False), (0.5, True), (1.0, True)):
        np.testing.assert_allclose(strength(np.array([3.0], "float32"), np.float32(t)), [3.0 if inside else 1.0])


def test_autoguidance_is_the_line_from_the_weak_network_to_the_strong(diffusion, x_t):
    strong, weak, w = (
        Formula(),
        lambda x_t, t, condition, training=None: 0.3 * x_t,
        np.array([0.0, 1.0, 2.5], "float32"),
    )
    guided = guidance.autoguidance(strong, diffusion, LABEL, NULL, w, weak=weak)(x_t, T_NOW)
    x_strong, x_weak = (guidance.conditional(n, diffusion, LABEL)(x_t, T_NOW) for n in (strong, weak))
    expected = x_weak + w[:, None, None, None] * (np.asarray(x_strong) - x_weak)
    np.testing.assert_allclose(guided, expected, atol=1e-4)


def test_without_guidance_w_does_nothing(diffusion, x_t):
    expected = guidance.conditional(Formula(), diffusion, LABEL)(x_t, T_NOW)
    unguided = guidance.unguided(Formula(), diffusion, LABEL, NULL, np.array([0.0, 3.0, 7.0], "float32"))
    np.testing.assert_array_equal(unguided(x_t, T_NOW), expected)


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
