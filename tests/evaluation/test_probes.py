"""Recognition curves and numerical health on processes whose answers are known."""

import numpy as np
import pytest

from keras_ddpm.evaluation.probes.health import diagnose, statistics, table
from keras_ddpm.evaluation.probes.recognition import (
    confusions,
    curves,
    gone_at,
    readable_at,
    recognition,
    settles_above,
)

LABELS = np.arange(100) % 10


def oracle(images):
    """Reads the digit written into the first pixel."""
    return np.eye(10)[images[:, 0, 0, 0]], None


def frames_that_show(digits):
    """(S, N) digits as frames for the oracle."""
    frames = np.zeros((*digits.shape, 28, 28, 1), "uint8")
    frames[:, :, 0, 0, 0] = digits
    return frames


def late_start(first, *, steps=10, favourite=8):
    """Everything is read as the favourite until step `first`, then as its label."""
    return frames_that_show(np.stack([LABELS if s >= first else np.full(100, favourite) for s in range(steps)]))


def recognise(frames, settled):
    return recognition(frames, LABELS, progress=np.arange(10) / 10, settled=settled, classifier=oracle)


def test_a_process_that_starts_to_show_digits_is_readable_from_there():
    found = recognise(late_start(7), readable_at)
    assert found["values"]["readable_at"] == 0.7
    assert found["accuracy"][6] == pytest.approx(0.1)
    assert found["accuracy"][7] == 1.0


def test_the_digit_that_noise_is_read_as_is_not_readable_in_noise():
    assert recognise(late_start(7), readable_at)["values"]["readable_at/8"] == 0.7


def test_the_reversed_process_loses_its_digits_where_the_other_gained_them():
    values = recognise(late_start(7)[::-1], gone_at)["values"]
    assert values["gone_at"] == pytest.approx(0.3)
    assert values["gone_at/8"] == pytest.approx(0.3)


def test_what_never_settles_is_nan():
    assert np.isnan(settles_above(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.0]), level=0.5))
    assert settles_above(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.0, 1.0]), level=0.5) == 1.0


def test_f1_of_a_digit_is_its_definition():
    shown = np.where(LABELS == 3, 5, LABELS)[None]
    accuracy, f1 = curves(confusions(frames_that_show(shown), LABELS, classifier=oracle))
    assert accuracy[0] == pytest.approx(0.9)
    assert f1[0, 5] == pytest.approx(2 * 10 / (10 + 20))
    assert f1[0, 3] == 0


def test_progress_must_ascend():
    with pytest.raises(ValueError, match="`progress` must be 10 ascending numbers"):
        recognition(late_start(7), LABELS, progress=np.ones(10), settled=readable_at, classifier=oracle)


def sound_chain(steps=20):
    rng = np.random.default_rng(0)
    x_0 = np.sign(rng.normal(size=(1, 50)))
    noise = np.linspace(1, 0, steps)[:, None]
    return {"x_t": np.sqrt(1 - noise**2) * x_0 + noise * rng.normal(size=(1, 50)), "x_0": np.repeat(x_0, steps, 0)}


STEPS = list(range(19, -1, -1))


def test_statistics_are_numpys():
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    expected = [[s.mean(), s.std(), s.min(), s.max()] for s in x]
    np.testing.assert_allclose(statistics(x), expected)


def test_the_table_has_a_line_a_step():
    lines = table(sound_chain(), steps=STEPS).splitlines()
    assert len(lines) == 22
    assert len({len(line) for line in lines[2:]}) == 1


def test_a_sound_chain_has_no_diagnosis():
    assert diagnose(sound_chain(), steps=STEPS, alpha_bar_end=2e-5) == []


def test_the_reports_schedule_is_diagnosed():
    (line,) = diagnose(sound_chain(), steps=STEPS, alpha_bar_end=0.3636)
    assert line.startswith("Terminal SNR") and "SNR 0.571" in line


def test_explosion_is_diagnosed_with_its_step():
    chain = sound_chain()
    chain["mu"] = chain["x_t"] * np.where(np.arange(20) >= 5, 31.6, 1)[:, None]
    (line,) = diagnose(chain, steps=STEPS)
    assert line.startswith("Explosion: |mu|") and "t = 14" in line


def test_nan_is_diagnosed_as_explosion():
    chain = sound_chain()
    chain["eps"] = np.where(np.arange(20)[:, None] >= 18, np.nan, chain["x_t"])
    assert diagnose(chain, steps=STEPS) == ["Explosion: eps is not finite from t = 1 on."]


def test_saturation_under_guidance_is_diagnosed():
    chain = sound_chain()
    chain["x_0"] = 1.5 * chain["x_0"]
    (line,) = diagnose(chain, steps=STEPS)
    assert line.startswith("Saturation")
