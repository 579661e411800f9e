"""Laws of the forward process, the conversions and the posterior."""

import functools
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_ddpm import schedules
from keras_ddpm.diffusion import PREDICTIONS, Diffusion, min_snr, posterior

pytestmark = pytest.mark.neutral
T = 200
COSINE = schedules.cosine(T)
TABLE = COSINE.alpha_bar
SCHEDULES = {"cosine": COSINE, "flow": schedules.flow_matching}


def time_of(level):
    """The time of a level 0 ... T - 1, or of several."""
    return (np.asarray(level) + 1) / T


def draw(seed, n=3):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (n, 4, 5, 1)).astype("float32"), random.standard_normal((n, 4, 5, 1)).astype("float32")


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@given(seed=st.integers(0, 2**32), t=st.lists(st.integers(0, T - 20), min_size=3, max_size=3))
@settings(deadline=None, max_examples=30)
def test_the_target_gives_back_x_0_and_eps(prediction, schedule, seed, t):
    diffusion, (x_0, eps), t = Diffusion(schedule, "v"), draw(seed), time_of(t)
    diffusion.prediction = prediction  # eps too, which is refused where t = 1 holds no signal
    x_t = diffusion.add_noise(x_0, eps, t)
    recovered = diffusion.x_0(diffusion.target(x_0, eps, t), x_t, t)
    np.testing.assert_allclose(recovered, x_0, atol=2e-4)
    np.testing.assert_allclose(diffusion.eps(x_0, x_t, t), eps, atol=2e-3)


@given(t=st.integers(0, T - 1))
@settings(deadline=None, max_examples=30)
def test_the_cosine_table_keeps_the_variance(t):
    alpha, sigma = (float(a) for a in Diffusion(COSINE).alpha_sigma(time_of(t)))
    assert alpha**2 + sigma**2 == pytest.approx(1.0, abs=1e-6)
    assert (alpha, sigma) == pytest.approx((TABLE[t] ** 0.5, (1 - TABLE[t]) ** 0.5), abs=1e-7)


def test_the_targets_are_those_of_the_papers():
    (x_0, eps), t = draw(0), time_of(np.array([3, 90, 150]))
    alpha, sigma = (a[:, None, None, None] for a in COSINE(t))
    for prediction, paper in (("eps", eps), ("x0", x_0), ("v", alpha * eps - sigma * x_0), ("velocity", eps - x_0)):
        np.testing.assert_allclose(Diffusion(COSINE, prediction).target(x_0, eps, t), paper, atol=1e-6)


def test_time_zero_is_the_clean_image():
    x_0, eps = draw(0)
    for schedule in SCHEDULES.values():
        np.testing.assert_array_equal(Diffusion(schedule).add_noise(x_0, eps, np.zeros(3)), x_0)


def test_each_image_has_its_own_level():
    diffusion, (x_0, eps), t = Diffusion(COSINE), draw(1), np.array([0, 100, 199])
    x_t = ops.convert_to_numpy(diffusion.add_noise(x_0, eps, time_of(t)))
    for i in range(3):
        want = TABLE[t[i]] ** 0.5 * x_0[i] + (1 - TABLE[t[i]]) ** 0.5 * eps[i]
        np.testing.assert_allclose(x_t[i], want, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@given(t=st.integers(1, T - 2), gap=st.integers(1, 50), x_t=st.floats(-3, 3), x_0=st.floats(-1, 1))
def test_posterior_is_bayes_rule(schedule, t, gap, x_t, x_0):
    s = max(t - gap, 0)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(time_of(t)), schedule(time_of(s))
    a, b, variance = posterior(alpha_t, sigma_t, alpha_s, sigma_s)
    # q(x_s | x_0) q(x_t | x_s) as a Gaussian in x_s: precisions add, means are weighted by them
    ratio = alpha_t / alpha_s
    prior, likelihood = 1 / sigma_s**2, ratio**2 / (sigma_t**2 - ratio**2 * sigma_s**2)
    mean = (prior * alpha_s * x_0 + likelihood * x_t / ratio) / (prior + likelihood)
    assert variance == pytest.approx(1 / (prior + likelihood), rel=1e-6)
    assert a * x_t + b * x_0 == pytest.approx(mean, abs=1e-6)


def test_posterior_of_the_last_step_is_x_0():
    for schedule in SCHEDULES.values():
        assert tuple(float(c) for c in posterior(*schedule(time_of(0)), 1.0, 0.0)) == pytest.approx((0, 1, 0))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_min_snr_weighs_x_0_errors_alike_for_every_prediction(prediction, schedule):
    diffusion, t = Diffusion(schedule, weighting=min_snr), time_of(np.arange(5, T - 5))
    diffusion.prediction = prediction
    (x_0, eps), snr = draw(0, len(t)), np.divide(*schedule(t)) ** 2
    x_t, y = diffusion.add_noise(x_0, eps, t), diffusion.target(x_0, eps, t)
    error = np.asarray(diffusion.x_0(y + 1.0, x_t, t) - diffusion.x_0(y, x_t, t))[:, 0, 0, 0]  # of a unit error of y
    np.testing.assert_allclose(diffusion.weight(t), np.minimum(snr, 5) * error**2, rtol=2e-2)


def test_min_snr_is_finite_without_any_signal():
    for prediction in ("x0", "v", "velocity"):
        diffusion = Diffusion(schedules.zero_terminal_snr_linear(10), prediction, weighting=min_snr)
        assert np.all(np.isfinite(diffusion.weight(np.array([0.5, 1.0], "float32"))))


def test_the_reports_schedule_warns_what_samples_will_look_like():
    with pytest.warns(UserWarning, match=r"grey tangles.*choose 'scaled_linear', 'cosine'"):
        Diffusion(schedules.linear(100), "eps")


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.linear(1000),
        schedules.scaled_linear(100),
        COSINE,
        schedules.zero_terminal_snr_linear(100),
        schedules.flow_matching,
    ],
)
def test_schedules_that_end_in_noise_do_not_warn(schedule):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Diffusion(schedule, "v").levels == schedules.levels(schedule)


def test_bad_diffusions_are_named():
    for arguments, message in (
        ((COSINE, "noise"), "one of"),
        ((schedules.zero_terminal_snr_linear(10), "eps"), "zero terminal SNR"),
        ((schedules.flow_matching, "eps"), "zero terminal SNR"),
    ):
        with pytest.raises(ValueError, match=message):
            Diffusion(*arguments)
    with pytest.raises(ValueError, match=r"one of \['cosine'.*Received: 'karras'"):
        Diffusion.from_names(schedule="karras")


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_diffusion_round_trips(schedule):
    diffusion = Diffusion(schedule, "v", weighting=functools.partial(min_snr, gamma=2.0))
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(diffusion))
    t = time_of(np.arange(T))
    np.testing.assert_array_equal(twin.schedule(t), schedule(t))
    np.testing.assert_array_equal(twin.weight(t), diffusion.weight(t))
    assert twin.prediction == "v"
