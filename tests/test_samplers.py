"""Laws of the samplers: golden trajectories, exact denoisers, and how they relate."""

import functools
import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from test_schedules import golden_table

from keras_ddpm import guidance, samplers, schedules
from keras_ddpm.diffusion import Diffusion

pytestmark = pytest.mark.neutral
CASES = json.loads((pathlib.Path(__file__).parent / "golden" / "diffusers.json").read_text())["cases"]
DDIMS = [functools.partial(samplers.ddim, eta=eta) for eta in (0.0, 0.5, 1.0)]


def name_of(sampler):
    """A test's name for a sampler, the same in every process."""
    return f"ddim, eta={sampler.keywords['eta']}" if hasattr(sampler, "keywords") else sampler.__name__


ALL = [samplers.ddpm, *DDIMS, samplers.dpm_solver_pp_2m, samplers.dpm_solver_pp_2m_sde]


def gaussian_denoiser(diffusion, mean, std):
    """The exact posterior mean of data N(mean, std^2) per pixel."""

    def denoise(x_t, t):
        alpha, sigma = diffusion.alpha_sigma(t)
        return mean + alpha * std**2 / (alpha**2 * std**2 + sigma**2) * (x_t - alpha * mean)

    return denoise


def as_images(values):
    """(..., 2, 2)-like numbers -> (..., 1, h, w, 1)."""
    return np.asarray(values, "float32")[..., None, :, :, None]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_golden_trajectories(case):
    table = golden_table(case["schedule"])
    diffusion, name = Diffusion(table), case["name"]
    denoise = gaussian_denoiser(diffusion, case["denoiser"]["mean"], case["denoiser"]["std"])
    sampler = samplers.dpm_solver_pp_2m
    if not name.startswith("dpmsolver"):
        denoise = guidance.clip(denoise)
        sampler = functools.partial(samplers.ddim, eta=case["options"]["eta"]) if "ddim" in name else samplers.ddpm
    times = samplers.trailing_times(diffusion.T, len(case["timesteps"]))
    np.testing.assert_array_equal(times, case["timesteps"])
    noise = None if case["noise"] is None else as_images(case["noise"])
    columns = samplers.coefficients(sampler, table, times)
    x_s, _ = samplers.loop(denoise, as_images(case["x_T"]), times, columns, noise=noise)
    np.testing.assert_allclose(x_s, as_images(case["x_after_each_step"]), atol=1e-4)


def point_denoiser(diffusion, points):
    """The exact posterior mean of a data set that is a handful of images (N, H, W, 1)."""
    points = np.asarray(points, "float32")

    def denoise(x_t, t):
        alpha, sigma = diffusion.alpha_sigma(t)
        distance = ops.sum(ops.square(x_t[:, None] - alpha * points[None]), axis=(2, 3, 4))  # (B, N)
        weight = ops.softmax(-distance / (2 * sigma**2), axis=-1)
        return ops.einsum("bn,nhwc->bhwc", weight, ops.convert_to_tensor(points))

    return denoise


@pytest.mark.parametrize("sampler", ALL, ids=name_of)
@pytest.mark.parametrize("schedule", [schedules.scaled_linear, schedules.cosine])
def test_an_exact_denoiser_recovers_its_data(sampler, schedule):
    random = np.random.default_rng(0)
    points = random.choice([-1.0, 1.0], (3, 4, 4, 1))
    diffusion = Diffusion(schedule(100))
    times = samplers.trailing_times(100, 50)
    columns = samplers.coefficients(sampler, diffusion.alpha_bar, times)
    x_T, noise = random.standard_normal((64, 4, 4, 1)), random.standard_normal((50, 64, 4, 4, 1))
    denoise = point_denoiser(diffusion, points)
    x_s, _ = samplers.loop(denoise, x_T.astype("float32"), times, columns, noise=noise.astype("float32"))
    distance = np.abs(np.asarray(x_s[-1])[:, None] - points[None]).max(axis=(2, 3, 4))  # (64, 3)
    assert distance.min(axis=1).max() < 1e-3
    assert set(distance.argmin(axis=1)) == {0, 1, 2}


@given(T=st.integers(20, 1000), data=st.data())
def test_ddim_with_eta_1_is_ddpm(T, data):
    table = schedules.scaled_linear(T)
    times = samplers.trailing_times(T, data.draw(st.integers(1, T)))
    ddim = samplers.coefficients(functools.partial(samplers.ddim, eta=1.0), table, times)
    np.testing.assert_allclose(ddim, samplers.coefficients(samplers.ddpm, table, times), atol=1e-7)


@given(T=st.integers(20, 300), steps=st.integers(1, 20))
@pytest.mark.parametrize("sampler", ALL, ids=name_of)
def test_every_sampler_keeps_the_true_marginals_mean(sampler, T, steps):
    """If x_0 is known, x_t = alpha_t x_0 must lead to x_s = alpha_s x_0 (times the noise-free part)."""
    table = schedules.cosine(T)
    times = samplers.trailing_times(T, steps)
    a, b, c, d = samplers.coefficients(sampler, table, times).T
    alpha_t, alpha_s = np.sqrt(table[times]), np.sqrt(np.append(table[times[1:]], 1.0))
    np.testing.assert_allclose(a * alpha_t + b + c, alpha_s, atol=1e-9)
    assert np.all(np.isfinite([a, b, c, d])) and (a[-1], b[-1], c[-1], d[-1]) == pytest.approx((0, 1, 0, 0), abs=1e-9)


@pytest.mark.parametrize("sampler", [samplers.ddpm, *DDIMS, samplers.dpm_solver_pp_2m_sde], ids=name_of)
def test_samplers_keep_the_marginals_variance(sampler):
    """Var(x_s | x_0) = a^2 sigma_t^2 + d^2 must be sigma_s^2."""
    table = schedules.cosine(100)
    times = samplers.trailing_times(100, 30)
    a, _, _, d = samplers.coefficients(sampler, table, times).T
    ab_t, ab_s = table[times], np.append(table[times[1:]], 1.0)
    np.testing.assert_allclose(a**2 * (1 - ab_t) + d**2, 1 - ab_s, atol=1e-9)


@given(T=st.integers(20, 1000), data=st.data())
def test_sde_dpm_solver_without_its_correction_is_ddpm(T, data):
    times, table = samplers.trailing_times(T, data.draw(st.integers(1, T))), schedules.cosine(T)
    a, b, c, d = samplers.coefficients(samplers.dpm_solver_pp_2m_sde, table, times).T
    np.testing.assert_allclose(
        np.stack([a, b + c, 0 * c, d], -1), samplers.coefficients(samplers.ddpm, table, times), atol=1e-9
    )


def test_sde_dpm_solvers_columns_are_those_of_the_paper():
    table, times = schedules.scaled_linear(100), samplers.trailing_times(100, 7)
    alpha, sigma = np.sqrt(np.append(table[times], 1.0)), np.sqrt(1 - np.append(table[times], 1.0))
    columns = samplers.coefficients(samplers.dpm_solver_pp_2m_sde, table, times)
    for i in range(1, 6):
        lambdas = np.log(alpha[i - 1 : i + 2] / sigma[i - 1 : i + 2])
        h, r = lambdas[2] - lambdas[1], (lambdas[1] - lambdas[0]) / (lambdas[2] - lambdas[1])
        b = alpha[i + 1] * (1 - np.exp(-2 * h))
        a, d = sigma[i + 1] / sigma[i] * np.exp(-h), sigma[i + 1] * np.sqrt(1 - np.exp(-2 * h))
        np.testing.assert_allclose(columns[i], [a, b * (1 + 0.5 / r), -b * 0.5 / r, d], atol=1e-9)


def test_dpm_solver_is_second_order():
    """Halving the step divides the error of the probability-flow solution by about four; DDIM's by about two."""
    diffusion = Diffusion(schedules.scaled_linear(2000))
    denoise, x_T = gaussian_denoiser(diffusion, -0.3, 0.5), np.linspace(-2, 2, 9, dtype="float32").reshape(1, 3, 3, 1)

    def solve(sampler, steps):
        times = samplers.trailing_times(2000, steps)
        columns = samplers.coefficients(sampler, diffusion.alpha_bar, times)
        return np.asarray(samplers.loop(denoise, x_T, times, columns)[0][-1])

    exact = solve(samplers.ddim, 2000)
    error = {
        (s, n): np.abs(solve(s, n) - exact).max() for s in (samplers.ddim, samplers.dpm_solver_pp_2m) for n in (20, 40)
    }
    assert error[samplers.dpm_solver_pp_2m, 40] < 0.4 * error[samplers.dpm_solver_pp_2m, 20]
    assert error[samplers.dpm_solver_pp_2m, 20] < 0.5 * error[samplers.ddim, 20]


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS)
def test_zero_terminal_snr_gives_finite_columns(sampler):
    times = samplers.trailing_times(100, 10)
    assert np.all(np.isfinite(samplers.coefficients(sampler, schedules.zero_terminal_snr_linear(100), times)))


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS)
def test_no_schedule_explodes_with_a_clipped_denoiser(sampler):
    """The report's cosine schedule exploded; in x_0 form even a senseless network stays bounded."""
    diffusion = Diffusion(schedules.cosine(100), "eps")
    times = samplers.trailing_times(100, 100)
    columns = samplers.coefficients(sampler, diffusion.alpha_bar, times)
    random = np.random.default_rng(0)
    x_T, noise = (random.standard_normal(s).astype("float32") for s in ((4, 4, 4, 1), (100, 4, 4, 4, 1)))
    senseless = guidance.clip(lambda x_t, t: diffusion.x_0(ops.zeros_like(x_t), x_t, t))
    x_s, x_0 = samplers.loop(senseless, x_T, times, columns, noise=noise)
    assert np.abs(x_s).max() < 8 and np.abs(x_0).max() <= 1


@given(T=st.integers(1, 2000), data=st.data())
def test_trailing_times_start_at_the_end_and_decrease(T, data):
    steps = data.draw(st.integers(1, T))
    times = samplers.trailing_times(T, steps)
    assert times[0] == T - 1 and len(times) == steps and np.all(np.diff(times) < 0) and times[-1] >= 0


@pytest.mark.parametrize("steps", [0, -3, 101, 2.5, True])
def test_a_bad_number_of_steps_is_named(steps):
    with pytest.raises(ValueError, match=r"`steps` must be an integer in 1\.\.100\. Received"):
        samplers.trailing_times(100, steps)


def test_missing_noise_and_bad_eta_are_named():
    times = samplers.trailing_times(10, 5)
    columns = samplers.coefficients(samplers.ddpm, schedules.cosine(10), times)
    with pytest.raises(ValueError, match="adds noise"):
        samplers.loop(lambda x, t: x, np.zeros((1, 2, 2, 1), "float32"), times, columns)
    with pytest.raises(ValueError, match="`eta`"):
        samplers.ddim(np.array([0.5]), np.array([1.0]), eta=1.5)
