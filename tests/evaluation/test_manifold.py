"""Precision, recall, density and coverage on clouds with known answers and against the definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_ddpm.evaluation.metrics.manifold import precision_recall_density_coverage

LINE = np.arange(5.0)[:, None]


def by_definition(x, y, k):
    """The four sums of the papers, one pair at a time."""

    def radius(cloud, i):
        return sorted(np.linalg.norm(cloud[i] - other) for j, other in enumerate(cloud) if j != i)[k - 1]

    radius_x, radius_y = ([radius(c, i) for i in range(len(c))] for c in (x, y))
    in_y = [[np.linalg.norm(a - b) <= r for b, r in zip(y, radius_y, strict=True)] for a in x]
    in_x = [[np.linalg.norm(b - a) <= r for a, r in zip(x, radius_x, strict=True)] for b in y]
    precision = np.mean([any(row) for row in in_y])
    recall = np.mean([any(row) for row in in_x])
    density = np.sum(in_y) / (k * len(x))
    coverage = np.mean([any(row[j] for row in in_y) for j in range(len(y))])
    return precision, recall, density, coverage


@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0, 4))
@settings(max_examples=25, deadline=None)
def test_agrees_with_the_definitions(seed, k, shift):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(shift, 1, (12, 3)), rng.normal(size=(15, 3))
    assert precision_recall_density_coverage(x, y, k=k) == pytest.approx(by_definition(x, y, k))


def test_a_cloud_covers_itself():
    precision, recall, density, coverage = precision_recall_density_coverage(LINE, LINE, k=1)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(13 / 5)  # each ball of radius 1 holds itself and its neighbours on the line


def test_clouds_far_apart_share_nothing():
    assert precision_recall_density_coverage(LINE + 100, LINE, k=2) == (0, 0, 0, 0)


def test_half_a_cloud_is_precise_but_covers_half():
    far = np.concatenate([LINE, LINE + 100])
    precision, recall, _, coverage = precision_recall_density_coverage(LINE, far, k=1)
    assert (precision, recall, coverage) == (1, 0.5, 0.5)


def test_one_generated_outlier_inflates_recall_but_not_coverage():
    generated = np.concatenate([LINE + 1000, [[-2000.0]]])
    _, recall, _, coverage = precision_recall_density_coverage(generated, LINE, k=1)
    assert recall == 1
    assert coverage == 0


def test_one_real_outlier_inflates_precision_but_not_density():
    real = np.concatenate([LINE + 1000, [[-2000.0]]])
    precision, _, density, _ = precision_recall_density_coverage(LINE, real, k=4)
    assert precision == 1
    assert density == pytest.approx(1 / 4)
