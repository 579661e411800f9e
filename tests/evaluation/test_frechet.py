"""Fréchet and kernel distance against closed forms and double loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from keras_ddpm.evaluation.metrics.frechet import frechet_distance, gaussian_frechet, kernel_distance


def random_covariance(rng, size):
    root = rng.normal(size=(size, size))
    return root @ root.T


@given(st.integers(0, 10_000), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_commuting_gaussians_follow_the_diagonal_formula(seed, size):
    rng = np.random.default_rng(seed)
    m_1, m_2, s_1, s_2 = rng.uniform(0, 3, (4, size))
    turn = linalg.qr(rng.normal(size=(size, size)))[0]
    expected = np.sum((m_1 - m_2) ** 2) + np.sum((s_1 - s_2) ** 2)
    result = gaussian_frechet(m_1, turn * s_1**2 @ turn.T, mean_2=m_2, cov_2=turn * s_2**2 @ turn.T)
    assert result == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_general_gaussians_agree_with_the_matrix_square_root():
    rng = np.random.default_rng(0)
    c_1, c_2 = random_covariance(rng, 6), random_covariance(rng, 6)
    m_1, m_2 = rng.normal(size=(2, 6))
    expected = np.sum((m_1 - m_2) ** 2) + np.trace(c_1 + c_2 - 2 * linalg.sqrtm(c_1 @ c_2).real)
    assert gaussian_frechet(m_1, c_1, mean_2=m_2, cov_2=c_2) == pytest.approx(expected, rel=1e-8)


def test_singular_covariances_are_no_trouble():
    c_1, c_2 = np.diag([4.0, 0.0]), np.diag([0.0, 9.0])
    assert gaussian_frechet(np.zeros(2), c_1, mean_2=np.zeros(2), cov_2=c_2) == pytest.approx(13.0)


def test_frechet_distance_is_symmetric_and_zero_on_itself():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 5)), rng.normal(1, 2, size=(70, 5))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)


def test_a_shift_costs_its_square():
    x = np.random.default_rng(2).normal(size=(60, 4))
    assert frechet_distance(x + np.array([3.0, 0, 4.0, 0]), x) == pytest.approx(25.0)


def test_kernel_distance_is_the_double_loop():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 3)), rng.normal(1, 1, size=(9, 3))

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    within_x = [k(x[i], x[j]) for i in range(7) for j in range(7) if i != j]
    within_y = [k(y[i], y[j]) for i in range(9) for j in range(9) if i != j]
    across = [k(a, b) for a in x for b in y]
    assert kernel_distance(x, y) == pytest.approx(np.mean(within_x) + np.mean(within_y) - 2 * np.mean(across))


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(4)
    values = [kernel_distance(rng.normal(size=(20, 3)), rng.normal(size=(20, 3))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0
