"""Laws of the noise schedules."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_ddpm import schedules

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "diffusers.json").read_text())["schedules"]
pytestmark = pytest.mark.neutral


def golden_table(name):
    """Our table for the golden file's name."""
    T = GOLDEN[name]["config"]["num_train_timesteps"]
    if name.endswith("zero_snr"):
        return schedules.zero_terminal_snr(schedules.linear(T))
    kind = {"linear_s": schedules.scaled_linear, "linear_T": schedules.linear, "cosine_T": schedules.cosine}[name[:8]]
    return kind(T)


@pytest.mark.parametrize("name", GOLDEN)
def test_tables_equal_the_golden_ones(name):
    ours = golden_table(name)[GOLDEN[name]["t"]]
    np.testing.assert_allclose(ours, GOLDEN[name]["alpha_bar"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@given(T=st.integers(21, 2000))
def test_alpha_bar_decreases_from_almost_one_within_zero_and_one(name, T):
    table = schedules.SCHEDULES[name](T)
    assert table.shape == (T,) and table.dtype == np.float64
    assert np.all(np.diff(table) < 0) and 0.9 < table[0] < 1 and table[-1] >= 0


@given(T=st.integers(2, 2000))
def test_zero_terminal_snr_ends_at_zero_and_keeps_the_first_level(T):
    before = schedules.linear(T)
    after = schedules.zero_terminal_snr(before)
    assert after[-1] == 0 and schedules.terminal_snr(after) == 0
    assert after[0] == pytest.approx(before[0], rel=1e-12)


@given(T=st.integers(20, 4000))
def test_scaled_linear_adds_about_the_same_noise_for_every_T(T):
    assert schedules.terminal_snr(schedules.scaled_linear(T)) < 1e-4


def test_scaled_linear_is_linear_at_a_thousand_steps():
    np.testing.assert_allclose(schedules.scaled_linear(1000), schedules.linear(1000), rtol=1e-12)


def test_the_reports_schedule_leaves_much_signal():
    assert schedules.linear(100)[-1] == pytest.approx(0.3636, abs=1e-4)
    assert schedules.terminal_snr(schedules.linear(100)) == pytest.approx(0.571, abs=1e-3)


@pytest.mark.parametrize("T", [0, -1, 2.5, True, "100"])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
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
        schedules.zero_terminal_snr([0.5])
