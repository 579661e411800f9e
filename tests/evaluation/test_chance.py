"""What chance does to shares: the published values, and the laws that intervals keep."""

import numpy as np
import pytest

from keras_ddpm.evaluation.page import chance


def test_the_intervals_are_those_of_the_papers():
    """Newcombe 1998, tables of both papers: 81 of 263 and 15 of 148; and 56 of 70 against 48 of 80."""
    assert chance.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert chance.wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert chance.difference(48 / 80, 80, 56 / 70, 70) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_99_percent_of_300_images_is_one_point_wide_on_either_side():
    low, high = chance.wilson(0.99, 300)
    assert high - low == pytest.approx(0.026, abs=0.002)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_interval_holds_its_share_and_stays_within_0_and_1(share):
    low, high = chance.wilson(share, 10)
    assert 0 <= low <= share <= high <= 1 and high - low > 0.1


def test_chance_explains_equal_generators_in_19_of_20_cases():
    random = np.random.default_rng(0)
    shares = random.binomial(300, 0.9, (2000, 2)) / 300
    marked = np.mean([chance.beyond(chance.difference(a, 300, b, 300)) != 0 for a, b in shares])
    assert 0.03 < marked < 0.06


def test_the_sign_tells_which_share_is_larger():
    assert chance.beyond(chance.difference(0.9, 300, 0.99, 300)) == 1
    assert chance.beyond(chance.difference(0.99, 300, 0.9, 300)) == -1
    assert chance.beyond(chance.difference(0.99, 300, 0.98, 300)) == 0


def test_right_digits_are_counted_where_the_confusion_was():
    report = {"n": 100, "confusion": [[40, 10], [0, 150]]}
    assert chance.images_counted(report, "accuracy") == 200  # of shards, all images
    assert chance.images_counted(report, "accuracy/0") == 50
    assert chance.images_counted(report, "recall") == 100
    assert chance.images_counted(report, "frechet_distance") is None and chance.images_counted(report, "black") is None
