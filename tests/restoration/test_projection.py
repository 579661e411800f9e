"""Laws of the projection, with operators and denoisers that need no network."""

import functools

import numpy as np
import pytest
from keras import ops

from keras_ddpm import noise, samplers, schedules
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.guidance import clip
from keras_ddpm.restoration import operators, projection

pytestmark = pytest.mark.neutral

H = W = 8
MASK = (np.arange(H * W).reshape(1, H, W, 1) % 3 > 0).astype("float32")
OPERATORS = {
    "mask": operators.inpainting(MASK),
    "scale": operators.super_resolution(4),
    "grey": operators.colorization(),
}
COSINE = Diffusion(schedules.cosine(1000), "v")


def images(n, *, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, H, W, 3)).astype("float32")


@pytest.mark.parametrize("name", OPERATORS)
def test_a_pseudo_inverse_changes_nothing_that_is_measured(name):
    A, A_pinv = OPERATORS[name]
    x = images(5)
    np.testing.assert_allclose(A(A_pinv(A(x))), A(x), atol=1e-6)
    back = np.asarray(A_pinv(A(x)))
    assert back.shape == x.shape and np.abs(back - x).max() > 0.1  # something was lost
    np.testing.assert_allclose(A_pinv(A(back)), back, atol=1e-6)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_projected_estimate_agrees_with_the_measurement_and_keeps_what_it_does_not_say(name):
    operator, truth, guess = OPERATORS[name], images(5), images(5, seed=1)
    y = operator.A(truth)
    x_0 = np.asarray(projection.project(lambda x_t, t: guess, operator, y)(truth, 0.5))
    np.testing.assert_allclose(operator.A(x_0), y, atol=1e-6)
    unsaid = [np.asarray(x - operator.A_pinv(operator.A(x))) for x in (guess, x_0)]
    np.testing.assert_allclose(*unsaid, atol=1e-6)


def test_known_pixels_are_exact_after_clipping():
    operator, truth = OPERATORS["mask"], images(5)
    denoise = projection.project(clip(lambda x_t, t: 3.0 * images(5, seed=1)), operator, operator.A(truth))
    np.testing.assert_allclose(MASK * np.asarray(denoise(truth, 0.5)), MASK * truth, atol=1e-7)


def test_a_measurement_without_noise_is_trusted_and_with_much_noise_ignored():
    for t in (1e-3, 0.5, 1.0):
        trust = np.asarray(projection.trust_in(ops.convert_to_tensor([0.0, 0.1, 1e4]), COSINE)(t)).reshape(-1)
        assert trust[0] == 1 and 0 < trust[1] < 1 and trust[2] < 1e-6
    late, early = (float(np.asarray(projection.trust_in(ops.ones((1,)), COSINE)(t)).item()) for t in (0.1, 0.9))
    assert late < 0.1 < 0.4 < early <= 0.5


@pytest.mark.parametrize("noise_of_y", [0.0, 0.5])
def test_of_gaussian_pixels_the_projection_is_the_posterior_mean(noise_of_y):
    """For x_0 ~ N(0, 1) the best denoiser is known, and so is the best one that has seen y: Bayes' rule is exact."""
    rng, diffusion = np.random.default_rng(0), COSINE
    t = np.float32(0.4)
    alpha, sigma = (float(a) for a in diffusion.schedule(np.float64(t)))
    x = rng.standard_normal((20_000, H, W, 1)).astype("float32")
    x_t = (alpha * x + sigma * rng.standard_normal(x.shape)).astype("float32")
    y = (MASK * (x + noise_of_y * rng.standard_normal(x.shape))).astype("float32")
    oracle = lambda x_t, t: alpha * x_t / (alpha**2 + sigma**2)  # noqa: E731
    trust = projection.trust_in(ops.full((len(x),), noise_of_y), diffusion)
    x_0 = np.asarray(projection.project(oracle, OPERATORS["mask"], y, trust=trust)(ops.convert_to_tensor(x_t), t))
    error = np.mean((x_0 - x) ** 2, axis=0)[..., 0]
    precision = 1 + alpha**2 / sigma**2 + (MASK[0, ..., 0] / noise_of_y**2 if noise_of_y else 0)
    expected = np.where((MASK[0, ..., 0] == 1) & (noise_of_y == 0), 0, 1 / precision)
    np.testing.assert_allclose(error, expected, atol=0.04 * expected.max())


def test_correlated_pixels_follow_those_that_are_known():
    """All pixels of an image are the same number: once one is known, the others must come to it."""
    share = np.float32(H * W)

    def oracle(x_t, t):  # E[x_0 | x_t] of images c * ones, c ~ N(0, 1)
        alpha, sigma = COSINE.alpha_sigma(t)
        total = ops.sum(x_t, axis=(1, 2, 3), keepdims=True)
        return ops.broadcast_to(alpha * total / (alpha**2 * share + sigma**2), ops.shape(x_t))

    key = noise.split_seed(np.arange(50))
    c = np.linspace(-1, 1, 50, dtype="float32").reshape(-1, 1, 1, 1)
    operator = operators.inpainting((np.arange(H * W).reshape(1, H, W, 1) < H * W // 2).astype("float32"))
    y = operator.A(np.broadcast_to(c, (50, H, W, 1)))
    denoise, errors = projection.project(oracle, operator, y), {}
    for steps, repeats in ((3, 1), (3, 4), (20, 1)):
        times = np.repeat(samplers.trailing_times(steps, levels=1000), repeats)
        columns = samplers.coefficients(samplers.consistency, COSINE.schedule, times)
        draws = functools.partial(noise.normal, key, shape=(H, W, 1))
        x = np.asarray(samplers.loop(denoise, draws(step=0), times, columns, noise=lambda step: draws(step=step)))  # noqa: B023
        errors[steps, repeats] = np.abs(x - c).mean()
    assert errors[3, 1] < 0.1 and errors[3, 4] < 0.6 * errors[3, 1] and errors[20, 1] < 0.02
