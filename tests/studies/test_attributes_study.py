"""The study of attributes: what it calls agreement, and that it runs from the folder of a run."""

import json

import numpy as np
import pytest

from studies import attributes, study


def test_what_is_drawn_as_asked_agrees_and_what_is_turned_around_does_not():
    asked, labels = np.random.default_rng(0).uniform(-1, 1, 200), np.arange(200) % 10
    same, turned = (attributes.agreement(asked, drawn, labels) for drawn in (asked, -asked))
    assert same["correlation"] == pytest.approx(1) and same["error"] == 0
    assert turned["correlation_of_digit"] == pytest.approx([-1] * 10)
    assert turned["error"] == pytest.approx(np.mean(2 * np.abs(asked)))


def test_a_difference_between_digits_is_no_agreement_within_them():
    """Drawn values that follow the digit alone: over all images they correlate with what was asked, in a digit not."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(10), 500)
    asked, drawn = (labels + 0.1 * random.standard_normal(5000) for _ in range(2))
    assert np.corrcoef(asked, drawn)[0, 1] > 0.99
    assert abs(attributes.agreement(asked, drawn, labels)["correlation"]) < 0.05


def test_digits_that_are_missing_or_always_alike_do_not_count():
    asked, labels = np.array([0.0, 1.0, 0.5, 0.5]), np.array([3, 3, 5, 5])
    found = attributes.agreement(asked, asked, labels)
    assert found["correlation"] == pytest.approx(1) and found["error"] == 0
    assert [digit for digit, r in enumerate(found["correlation_of_digit"]) if np.isfinite(r)] == [3]


def test_a_preset_without_attributes_is_refused_before_any_work():
    with pytest.raises(ValueError, match=r"`preset` must be a run with attributes.*'mnist', whose attributes are \[\]"):
        attributes.run(study.Options())


@pytest.mark.slow
def test_the_study_runs_from_a_runs_folder(attributes_preset, tmp_path, mnist):
    attributes.run(attributes.Options(quick=True, preset=str(attributes_preset), out=tmp_path))
    content = json.loads((tmp_path / "attributes/rows.json").read_text())
    rows = content["rows"]
    assert content["command"] == f"python -m studies.attributes --quick --preset {attributes_preset}"
    assert {"real", "digit alone w=2 seed=0", "slant w=2 seed=0", "all w=2 seed=0", "thickness levels"} <= set(rows)
    row = rows["slant w=2 seed=0"]
    assert len(row["attributes"]["slant"]["correlation_of_digit"]) == 10 and "accuracy" in row and "recall" in row
    assert "correlation" not in row["attributes"]["thickness"] and row["attributes"]["thickness"]["spread_of_digit"]
    for name in ("slant", "thickness"):
        assert len(rows[f"{name} levels"]["drawn"]) == attributes.LEVELS
        assert all((tmp_path / f"attributes/{name}{kind}.png").is_file() for kind in ("", "_levels"))
