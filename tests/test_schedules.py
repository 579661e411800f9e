"""Laws of the noise schedules."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_ddpm import schedules

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "diffusers.json").read_text())["schedules"]
DISCRETE = [name for name in schedules.SCHEDULES if name != "flow_matching"]
pytestmark = pytest.mark.neutral


def golden_schedule(name):
    """Our schedule for the golden file's name."""
    T = GOLDEN[name]["config"]["num_train_timesteps"]
    if name.endswith("zero_snr"):
        return schedules.zero_terminal_snr_linear(T)
    kind = {"linear_s": schedules.scaled_linear, "linear_T": schedules.linear, "cosine_T": schedules.cosine}[name[:8]]
    return kind(T)


@pytest.mark.parametrize("name", GOLDEN)
def test_schedules_equal_the_golden_ones(name):
    schedule = golden_schedule(name)
    alpha, sigma = schedule((np.array(GOLDEN[name]["t"]) + 1) / schedule.levels)
    ours = alpha**2
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-12)
    np.testing.assert_allclose(ours, GOLDEN[name]["alpha_bar"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DISCRETE)
@given(T=st.integers(21, 2000))
def test_alpha_bar_decreases_from_almost_one_within_zero_and_one(name, T):
    table = schedules.SCHEDULES[name](T).alpha_bar
    assert table.shape == (T,) and table.dtype == np.float64
    assert np.all(np.diff(table) < 0) and 0.9 < table[0] < 1 and table[-1] >= 0


@given(T=st.integers(2, 2000))
def test_zero_terminal_snr_ends_at_zero_and_keeps_the_first_level(T):
    before = schedules.linear(T)
    after = schedules.zero_terminal_snr(before)
    assert after.alpha_bar[-1] == 0 and schedules.terminal_snr(after) == 0
    assert after.alpha_bar[0] == pytest.approx(before.alpha_bar[0], rel=1e-12)


@given(T=st.integers(20, 4000))
def test_scaled_linear_adds_about_the_same_noise_for_every_T(T):
    assert schedules.terminal_snr(schedules.scaled_linear(T)) < 1e-4


def test_scaled_linear_is_linear_at_a_thousand_steps():
    ours, theirs = schedules.scaled_linear(1000), schedules.linear(1000)
    np.testing.assert_allclose(ours.alpha_bar, theirs.alpha_bar, rtol=1e-12)


def test_the_reports_schedule_leaves_much_signal():
    assert schedules.linear(100).alpha_bar[-1] == pytest.approx(0.3636, abs=1e-4)
    assert schedules.terminal_snr(schedules.linear(100)) == pytest.approx(0.571, abs=1e-3)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_every_schedule_goes_from_the_clean_image_to_less_signal_and_more_noise(name):
    alpha, sigma = schedules.SCHEDULES[name](100)(np.linspace(0, 1, 101))
    assert (alpha[0], sigma[0]) == (1, 0) and alpha.dtype == sigma.dtype == np.float64
    assert np.all(np.diff(alpha) < 0) and np.all(np.diff(sigma) > 0)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_a_tensor_has_the_alpha_and_sigma_of_an_array(name):
    schedule = schedules.SCHEDULES[name](1000)
    t = np.append(0.0, schedules.snap(schedule, np.linspace(0.001, 1, 777)))
    for ours, exact in zip(schedule(ops.convert_to_tensor(t.astype("float32"))), schedule(t)):
        np.testing.assert_allclose(ours, exact, atol=1e-6)


@given(T=st.integers(1, 4000))
def test_level_i_lies_at_i_plus_1_over_T_in_float32_too(T):
    schedule = schedules.Discrete(np.linspace(0.9, 0.1, T))
    t = (np.arange(T, dtype="float32") + 1) / np.float32(T)
    np.testing.assert_array_equal(schedule(t)[0], np.sqrt(schedule.alpha_bar))
    np.testing.assert_allclose(schedule.snap(t), t, rtol=1e-6)


@given(u=st.floats(1e-3, 1.0), T=st.integers(1, 1000))
def test_a_time_between_two_levels_belongs_to_the_noisier_one(u, T):
    schedule = schedules.Discrete(np.linspace(0.9, 0.1, T))
    snapped = float(schedule.snap(np.float64(u)))
    assert u - 1e-2 / T <= snapped < u + 1.01 / T
    assert schedule(np.float64(u))[0] == schedule(np.float64(snapped))[0]


def test_a_continuous_schedule_has_no_levels_and_keeps_its_times():
    assert schedules.levels(schedules.flow_matching) is None and schedules.levels(schedules.cosine(7)) == 7
    assert schedules.snap(schedules.flow_matching, 0.123) == 0.123


@pytest.mark.parametrize("table", [[0.5, 0.6], [[0.5]], [1.0], [], [0.5, -0.1]])
def test_a_table_that_is_none_is_named(table):
    with pytest.raises(ValueError, match="`alpha_bar` must"):
        schedules.Discrete(table)


@pytest.mark.parametrize("T", [0, -1, 2.5, True, "100"])
@pytest.mark.parametrize("name", DISCRETE)
def test_a_bad_T_is_named(name, T):
    with pytest.raises(ValueError, match=r"`T` must be an integer >= 1\. Received"):
        schedules.SCHEDULES[name](T)


def test_arguments_out_of_range_are_named():
    with pytest.raises(ValueError, match="beta_start"):
        schedules.linear(10, beta_start=0.0)
    with pytest.raises(ValueError, match="T >= 20"):
        schedules.scaled_linear(19)
    with pytest.raises(ValueError, match="max_beta"):
        schedules.cosine(10, max_beta=1.5)
    with pytest.raises(ValueError, match="two noise levels"):
        schedules.zero_terminal_snr(schedules.Discrete([0.5]))
