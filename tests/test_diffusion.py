"""Laws of the forward process, the conversions and the posterior."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_ddpm import schedules
from keras_ddpm.diffusion import PREDICTIONS, Diffusion, min_snr, posterior

pytestmark = pytest.mark.neutral
T = 200
TABLE = schedules.cosine(T)


def draw(seed, n=3):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (n, 4, 5, 1)).astype("float32"), random.standard_normal((n, 4, 5, 1)).astype("float32")


@pytest.mark.parametrize("prediction", PREDICTIONS)
@given(seed=st.integers(0, 2**32), t=st.lists(st.integers(0, T - 20), min_size=3, max_size=3))
@settings(deadline=None, max_examples=30)
def test_the_target_gives_back_x_0_and_eps(prediction, seed, t):
    diffusion, (x_0, eps), t = Diffusion(TABLE, prediction), draw(seed), np.array(t, "int32")
    x_t = diffusion.add_noise(x_0, eps, t)
    recovered = diffusion.x_0(diffusion.target(x_0, eps, t), x_t, t)
    np.testing.assert_allclose(recovered, x_0, atol=2e-4)
    np.testing.assert_allclose(diffusion.eps(x_0, x_t, t), eps, atol=2e-3)


@given(t=st.integers(0, T - 1))
@settings(deadline=None, max_examples=30)
def test_v_is_orthogonal_to_x_t(t):
    alpha, sigma = (float(a) for a in Diffusion(TABLE).alpha_sigma(np.int32(t)))
    assert alpha**2 + sigma**2 == pytest.approx(1.0, abs=1e-6)
    assert (alpha, sigma) == pytest.approx((TABLE[t] ** 0.5, (1 - TABLE[t]) ** 0.5), abs=1e-7)


def test_level_minus_one_is_the_clean_image():
    x_0, eps = draw(0)
    np.testing.assert_array_equal(Diffusion(TABLE).add_noise(x_0, eps, np.full(3, -1, "int32")), x_0)


def test_each_image_has_its_own_level():
    diffusion, (x_0, eps), t = Diffusion(TABLE), draw(1), np.array([0, 100, 199], "int32")
    x_t = ops.convert_to_numpy(diffusion.add_noise(x_0, eps, t))
    for i in range(3):
        want = TABLE[t[i]] ** 0.5 * x_0[i] + (1 - TABLE[t[i]]) ** 0.5 * eps[i]
        np.testing.assert_allclose(x_t[i], want, atol=1e-6)


@given(t=st.integers(1, T - 1), gap=st.integers(1, 50), x_t=st.floats(-3, 3), x_0=st.floats(-1, 1))
def test_posterior_is_bayes_rule(t, gap, x_t, x_0):
    s = max(t - gap, 0)
    ab_t, ab_s = TABLE[t], TABLE[s]
    a, b, variance = posterior(ab_t, ab_s)
    # q(x_s | x_0) q(x_t | x_s) as a Gaussian in x_s: precisions add, means are weighted by them
    ratio = ab_t / ab_s
    prior, likelihood = 1 / (1 - ab_s), ratio / (1 - ratio)
    mean = (prior * ab_s**0.5 * x_0 + likelihood * x_t / ratio**0.5) / (prior + likelihood)
    assert variance == pytest.approx(1 / (prior + likelihood), rel=1e-6)
    assert a * x_t + b * x_0 == pytest.approx(mean, abs=1e-6)


def test_posterior_of_the_last_step_is_x_0():
    assert tuple(float(c) for c in posterior(TABLE[0], 1.0)) == pytest.approx((0, 1, 0))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_min_snr_weighs_x_0_errors_alike_for_every_prediction(prediction):
    snr = TABLE / (1 - TABLE)
    x_0_error = {"x0": 1.0, "eps": 1 / snr, "v": 1 / (snr + 1)}[
        prediction
    ]  # squared, of a unit error of the prediction
    np.testing.assert_allclose(min_snr(snr, prediction), np.minimum(snr, 5) * x_0_error, rtol=1e-9)


def test_min_snr_is_finite_without_any_signal():
    for prediction in PREDICTIONS:
        assert np.all(np.isfinite(min_snr(np.array([2.0, 0.0]), prediction)))


def test_the_reports_schedule_warns_what_samples_will_look_like():
    with pytest.warns(UserWarning, match=r"grey tangles.*choose 'scaled_linear', 'cosine'"):
        Diffusion(schedules.linear(100), "eps")


@pytest.mark.parametrize(
    "table", [schedules.linear(1000), schedules.scaled_linear(100), TABLE, schedules.zero_terminal_snr_linear(100)]
)
def test_schedules_that_end_in_noise_do_not_warn(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(table) == Diffusion(table, "v").T


def test_bad_diffusions_are_named():
    for arguments, message in (
        ((TABLE, "noise"), "one of"),
        (([0.5, 0.6], "v"), "decrease"),
        (([[0.5]], "v"), "array"),
        (([1.0], "v"), r"\[0, 1\)"),
        ((schedules.zero_terminal_snr_linear(10), "eps"), "zero terminal SNR"),
    ):
        with pytest.raises(ValueError, match=message):
            Diffusion(*arguments)
    with pytest.raises(ValueError, match=r"one of \['cosine'.*Received: 'karras'"):
        Diffusion.from_names(schedule="karras")
