"""Arms of a study are compared by how much seeds differ: Student's t, and verdicts that follow the figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies import comparison

SEVERAL = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=3)
BASE = {"accuracy": (0.90, 0.91, 0.92), "frechet_distance": (2.0, 2.1, 2.2), "recall": (0.80, 0.81, 0.82)}
LIKE = {"accuracy": (0.50, 0.51, 0.52), "frechet_distance": (7.0, 7.1, 7.2), "recall": (0.50, 0.51, 0.52)}


def arm(seeds=3, wobble=(0.0, 0.001, -0.001), **changes):
    """An arm with the base's figures, moved a little differently in each seed."""
    return {
        seed: {name: value[seed] + changes.get(name, 0.0) + wobble[seed] for name, value in BASE.items()}
        for seed in range(seeds)
    }


def compared(ours, theirs=None, costs=(None, None), like=()):
    return comparison.compare(ours, theirs or arm(wobble=(0.0, 0.0, 0.0)), costs=costs, unit="calls", like=like)


def by_seed(values):
    return dict(enumerate(values))


@given(SEVERAL, SEVERAL)
def test_paired_arms_have_student_s_interval(ours, theirs):
    found = comparison.paired(by_seed(ours), by_seed(theirs))
    gains = np.subtract(ours, theirs)
    if found is None:
        assert np.ptp(gains) < comparison.SAME
        return
    assert found.mean == pytest.approx(gains.mean()) and found.std == pytest.approx(gains.std(ddof=1))
    if found.std > 1e-6:
        expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)


@given(SEVERAL, SEVERAL)
def test_arms_without_pairs_have_the_interval_of_a_common_spread(ours, theirs):
    found = comparison.pooled(by_seed(ours), by_seed(theirs))
    assert found is not None or np.ptp(ours) < 1e-6 > np.ptp(theirs)
    if found is not None and found.std > 1e-6:
        expected = stats.ttest_ind(ours, theirs).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)


@given(SEVERAL, SEVERAL)
def test_what_one_arm_gains_the_other_loses(ours, theirs):
    words = {"better": "worse", "worse": "better", "undecided": "undecided"}
    for compare in (comparison.paired, comparison.pooled):
        one, other = compare(by_seed(ours), by_seed(theirs)), compare(by_seed(theirs), by_seed(ours))
        if one is None or other is None:
            assert one is other
            continue
        assert one.mean == pytest.approx(-other.mean) and one.verdict == words[other.verdict]


def test_only_seeds_that_both_have_are_paired():
    assert comparison.paired({0: 1.0, 1: 2.5, 5: 9.0}, {1: 1.0, 0: 0.0, 7: 3.0}).mean == 1.25
    assert comparison.paired({0: 1.0}, {0: 0.0}) is None


def test_equal_steps_of_few_images_are_no_interval_of_width_0():
    ours, theirs = by_seed((99.5, 98.5, 99.0)), by_seed((99.0, 98.0, 98.5))
    assert comparison.paired(ours, theirs) is None
    arms = ({seed: {"accuracy": value / 100} for seed, value in values.items()} for values in (ours, theirs))
    (found,) = compared(*arms).found.values()
    assert found.verdict == "undecided"
    assert comparison.pooled(by_seed((1.0, 1.0)), by_seed((2.0, 2.0))) is None


def test_a_single_seed_is_compared_by_how_much_seeds_of_a_like_arm_differ():
    ours, theirs = {0: 5.0}, {0: 1.0}
    assert comparison.pooled(ours, theirs) is None
    assert comparison.pooled(ours, theirs, [by_seed((0.0, 0.1, 0.2))]).verdict == "better"
    assert comparison.pooled(ours, theirs, [by_seed((0.0, 5.0, 10.0))]).verdict == "undecided"


@pytest.mark.parametrize(
    "changes, costs, verdict",
    [
        ({"accuracy": 0.05}, (None, None), "helps: better right digit"),
        ({"frechet_distance": -0.5}, (28, 28), "helps: better Fréchet distance"),
        ({"frechet_distance": -0.5}, (56, 28), "helps: better Fréchet distance, 2 times the calls"),
        ({"accuracy": 0.05, "recall": -0.1}, (28, 28), "mixed: better right digit, worse recall"),
        ({"recall": -0.1}, (28, 28), "does not help: worse recall"),
        ({"recall": -0.1}, (56, 28), "does not help: worse recall, 2 times the calls"),
        ({"frechet_distance": 0.5}, (7, 28), "mixed: worse Fréchet distance, 1/4 of the calls"),
        ({}, (None, None), "does not help: no difference"),
        ({}, (56, 28), "does not help: no difference, 2 times the calls"),
        ({}, (7, 28), "helps: as good, 1/4 of the calls"),
    ],
)
def test_a_verdict_follows_the_figures_and_the_cost(changes, costs, verdict):
    assert compared(arm(**changes), costs=costs).verdict == verdict


def test_what_seeds_leave_open_is_undecided():
    """The same means as the base, but seeds differ by more than the margin."""
    wild = arm(wobble=(0.0, 0.05, -0.05))
    assert compared(wild).verdict == "undecided"
    assert compared(wild, costs=(7, 28)).verdict == "undecided, 1/4 of the calls"


def test_a_verdict_says_how_many_seeds_it_has():
    assert compared(arm(2, accuracy=0.05)).verdict == "helps: better right digit (2 of 3 seeds)"
    assert compared(arm(1, accuracy=0.3), arm(1)).verdict == "one seed: no verdict"
    like = {seed: {name: values[seed] for name, values in LIKE.items()} for seed in range(3)}
    assert compared(arm(1, accuracy=0.3), arm(1), like=[like]).verdict == "helps: better right digit (1 of 3 seeds)"


def test_the_headline_has_what_differs_with_its_spread_or_the_frechet_distance():
    assert compared(arm(accuracy=0.05)).headline == "right digit 96.0 ± 1.0 % instead of 91.0 ± 1.0 %"
    assert compared(arm()).headline == "Fréchet distance 2.1 ± 0.1 instead of 2.1 ± 0.1"


def test_what_both_cost_is_said_once_if_it_is_the_same():
    assert compared(arm(), costs=(28, 28)).compute == "28 calls"
    assert compared(arm(), costs=(56, 28)).compute == "56 calls instead of 28 calls"
    assert comparison.amount(35_400_000, "operations") == "35.4 million operations"
    assert comparison.amount(894_681, "weights") == "894,681 weights"
    assert comparison.amount(23.812, "calls") == "23.8 calls"
    assert comparison.amount(None, "calls") == "–"


def test_what_is_lost_is_what_is_worse():
    assert compared(arm(accuracy=0.05, recall=-0.1)).lost == "recall"
    assert compared(arm(accuracy=0.05)).lost == "nothing beyond what seeds differ"


def test_rows_are_grouped_by_arm_and_seed():
    drawn = {"frechet_distance": 1.0}
    rows = {"a w=3": drawn, "a w=3 seed=2": drawn | {"recall": 0.5}, "a w=30 seed=0": drawn, "chart": {}}
    found = comparison.groups(rows)
    assert {name: sorted(group) for name, group in found.items()} == {"a w=3": [0, 2], "a w=30": [0]}
    assert found["a w=3"][2]["recall"] == 0.5
