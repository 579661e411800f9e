"""Laws of the samplers: golden trajectories, exact denoisers, and how they relate."""

import functools
import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from test_schedules import golden_schedule

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


def given_noise(noises):
    """Noise (S, B, H, W, C) as a function of the step, which starts at 1."""
    noises = ops.convert_to_tensor(noises)
    return lambda step: noises[step - 1]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_golden_trajectories(case):
    schedule = golden_schedule(case["schedule"])
    diffusion, name = Diffusion(schedule), case["name"]
    denoise = gaussian_denoiser(diffusion, case["denoiser"]["mean"], case["denoiser"]["std"])
    sampler = samplers.dpm_solver_pp_2m
    if not name.startswith("dpmsolver"):
        denoise = guidance.clip(denoise)
        sampler = functools.partial(samplers.ddim, eta=case["options"]["eta"]) if "ddim" in name else samplers.ddpm
    times = samplers.trailing_times(len(case["timesteps"]), levels=schedule.levels)
    np.testing.assert_allclose(times * schedule.levels - 1, case["timesteps"], atol=1e-9)
    noise = None if case["noise"] is None else given_noise(as_images(case["noise"]))
    columns = samplers.coefficients(sampler, schedule, times)
    x_s, _ = samplers.loop(denoise, as_images(case["x_T"]), times, columns, noise=noise, path=True)
    np.testing.assert_allclose(x_s, as_images(case["x_after_each_step"]), atol=1e-4)
    last = samplers.loop(denoise, as_images(case["x_T"]), times, columns, noise=noise)
    np.testing.assert_allclose(last, x_s[-1], atol=1e-6)


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
@pytest.mark.parametrize("schedule", [schedules.scaled_linear, schedules.cosine, lambda T: schedules.flow_matching])
def test_an_exact_denoiser_recovers_its_data(sampler, schedule):
    random = np.random.default_rng(0)
    points = random.choice([-1.0, 1.0], (3, 4, 4, 1))
    diffusion = Diffusion(schedule(100))
    times = samplers.trailing_times(50, levels=diffusion.levels)
    columns = samplers.coefficients(sampler, diffusion.schedule, times)
    x_T, noise = random.standard_normal((64, 4, 4, 1)), random.standard_normal((50, 64, 4, 4, 1))
    denoise = point_denoiser(diffusion, points)
    noise = given_noise(noise.astype("float32"))
    x = samplers.loop(denoise, x_T.astype("float32"), times, columns, noise=noise)
    distance = np.abs(np.asarray(x)[:, None] - points[None]).max(axis=(2, 3, 4))  # (64, 3)
    assert distance.min(axis=1).max() < 1e-3
    assert set(distance.argmin(axis=1)) == {0, 1, 2}


@given(T=st.integers(20, 1000), data=st.data())
def test_ddim_with_eta_1_is_ddpm(T, data):
    table = schedules.scaled_linear(T)
    times = samplers.trailing_times(data.draw(st.integers(1, T)), levels=T)
    ddim = samplers.coefficients(functools.partial(samplers.ddim, eta=1.0), table, times)
    np.testing.assert_allclose(ddim, samplers.coefficients(samplers.ddpm, table, times), atol=1e-7)


@given(T=st.integers(20, 300), steps=st.integers(1, 20), flow=st.booleans())
@pytest.mark.parametrize("sampler", ALL, ids=name_of)
def test_every_sampler_keeps_the_true_marginals_mean(sampler, T, steps, flow):
    """If x_0 is known, x_t = alpha_t x_0 must lead to x_s = alpha_s x_0 (times the noise-free part)."""
    schedule = schedules.flow_matching if flow else schedules.cosine(T)
    times = samplers.trailing_times(steps, levels=schedules.levels(schedule))
    a, b, c, d = samplers.coefficients(sampler, schedule, times).T
    alpha_t, alpha_s = schedule(times)[0], np.append(schedule(times)[0][1:], 1.0)
    np.testing.assert_allclose(a * alpha_t + b + c, alpha_s, atol=1e-9)
    assert np.all(np.isfinite([a, b, c, d])) and (a[-1], b[-1], c[-1], d[-1]) == pytest.approx((0, 1, 0, 0), abs=1e-9)


@pytest.mark.parametrize("sampler", [samplers.ddpm, *DDIMS, samplers.dpm_solver_pp_2m_sde], ids=name_of)
@pytest.mark.parametrize("schedule", [schedules.cosine(100), schedules.flow_matching], ids=["cosine", "flow"])
def test_samplers_keep_the_marginals_variance(sampler, schedule):
    """Var(x_s | x_0) = a^2 sigma_t^2 + d^2 must be sigma_s^2."""
    times = samplers.trailing_times(30, levels=schedules.levels(schedule))
    a, _, _, d = samplers.coefficients(sampler, schedule, times).T
    sigma_t, sigma_s = schedule(times)[1], np.append(schedule(times)[1][1:], 0.0)
    np.testing.assert_allclose(a**2 * sigma_t**2 + d**2, sigma_s**2, atol=1e-9)


def test_ddim_along_flow_matching_is_eulers_step():
    """x_s = x_t + (s - t) (eps - x_0), with eps - x_0 = (x_t - x_0) / t."""
    times = samplers.trailing_times(7)
    a, b, c, d = samplers.coefficients(samplers.ddim, schedules.flow_matching, times).T
    t, s = times, np.append(times[1:], 0.0)
    np.testing.assert_allclose([a, b, c, d], [1 + (s - t) / t, -(s - t) / t, 0 * t, 0 * t], atol=1e-12)


@given(scale=st.floats(0.1, 3.0))
@pytest.mark.parametrize("sampler", ALL, ids=name_of)
def test_scaling_x_t_changes_nothing_but_the_scale(sampler, scale):
    """With alpha and sigma both times k(t), x_t is k(t) times what it was, and x_0 stays."""
    times = samplers.trailing_times(9, levels=100)
    k = lambda t: 1.0 + (scale - 1.0) * t  # noqa: E731
    plain = schedules.cosine(100)
    a, b, c, d = samplers.coefficients(sampler, plain, times).T
    scaled = samplers.coefficients(sampler, lambda t: tuple(k(t) * part for part in plain(t)), times).T
    k_t, k_s = k(times), k(np.append(times[1:], 0.0))
    np.testing.assert_allclose(scaled, [a * k_s / k_t, b * k_s, c * k_s, d * k_s], atol=1e-7)


@given(T=st.integers(20, 1000), data=st.data())
def test_sde_dpm_solver_without_its_correction_is_ddpm(T, data):
    times, table = samplers.trailing_times(data.draw(st.integers(1, T)), levels=T), schedules.cosine(T)
    a, b, c, d = samplers.coefficients(samplers.dpm_solver_pp_2m_sde, table, times).T
    np.testing.assert_allclose(
        np.stack([a, b + c, 0 * c, d], -1), samplers.coefficients(samplers.ddpm, table, times), atol=1e-9
    )


def test_sde_dpm_solvers_columns_are_those_of_the_paper():
    table, times = schedules.scaled_linear(100), samplers.trailing_times(7, levels=100)
    alpha, sigma = table(np.append(times, 0.0))
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
        times = samplers.trailing_times(steps, levels=2000)
        columns = samplers.coefficients(sampler, diffusion.schedule, times)
        return np.asarray(samplers.loop(denoise, x_T, times, columns))

    exact = solve(samplers.ddim, 2000)
    error = {
        (s, n): np.abs(solve(s, n) - exact).max() for s in (samplers.ddim, samplers.dpm_solver_pp_2m) for n in (20, 40)
    }
    assert error[samplers.dpm_solver_pp_2m, 40] < 0.4 * error[samplers.dpm_solver_pp_2m, 20]
    assert error[samplers.dpm_solver_pp_2m, 20] < 0.5 * error[samplers.ddim, 20]


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS)
def test_zero_terminal_snr_gives_finite_columns(sampler):
    for schedule in (schedules.zero_terminal_snr_linear(100), schedules.flow_matching):
        times = samplers.trailing_times(10, levels=schedules.levels(schedule))
        assert np.all(np.isfinite(samplers.coefficients(sampler, schedule, times)))


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS)
def test_no_schedule_explodes_with_a_clipped_denoiser(sampler):
    """The report's cosine schedule exploded; in x_0 form even a senseless network stays bounded."""
    diffusion = Diffusion(schedules.cosine(100), "eps")
    times = samplers.trailing_times(100, levels=100)
    columns = samplers.coefficients(sampler, diffusion.schedule, times)
    random = np.random.default_rng(0)
    x_T, noise = (random.standard_normal(s).astype("float32") for s in ((4, 4, 4, 1), (100, 4, 4, 4, 1)))
    senseless = guidance.clip(lambda x_t, t: diffusion.x_0(ops.zeros_like(x_t), x_t, t))
    x_s, x_0 = samplers.loop(senseless, x_T, times, columns, noise=given_noise(noise), path=True)
    assert np.abs(x_s).max() < 8 and np.abs(x_0).max() <= 1


@given(T=st.integers(1, 2000), data=st.data())
def test_trailing_times_start_at_the_end_and_decrease(T, data):
    steps = data.draw(st.integers(1, T))
    for levels in (T, None):
        times = samplers.trailing_times(steps, levels=levels)
        assert times[0] == 1 and len(times) == steps and np.all(np.diff(times) < 0) and times[-1] >= 0.9 / T
    np.testing.assert_allclose(times, np.arange(steps, 0, -1) / steps)


@pytest.mark.parametrize("steps", [0, -3, 101, 2.5, True])
def test_a_bad_number_of_steps_is_named(steps):
    with pytest.raises(ValueError, match=r"`steps` must be an integer in 1\.\.100\. Received"):
        samplers.trailing_times(steps, levels=100)
    if steps != 101:  # a continuous schedule has no highest number
        with pytest.raises(ValueError, match=r"`steps` must be an integer >= 1\. Received"):
            samplers.trailing_times(steps)


def test_missing_noise_and_bad_eta_are_named():
    times = samplers.trailing_times(5, levels=10)
    columns = samplers.coefficients(samplers.ddpm, schedules.cosine(10), times)
    with pytest.raises(ValueError, match="adds noise"):
        samplers.loop(lambda x, t: x, np.zeros((1, 2, 2, 1), "float32"), times, columns)
    with pytest.raises(ValueError, match="`eta`"):
        samplers.ddim(*(np.array([a]) for a in (0.6, 0.8, 1.0, 0.0)), eta=1.5)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_few_steps_written_out_are_the_loop(name, monkeypatch):
    times = samplers.trailing_times(4)
    columns = samplers.coefficients(samplers.SAMPLERS[name], schedules.cosine(1000), times)
    x_T, draw = np.ones((2, 3, 3, 1), "float32"), lambda step: 0.1 * ops.ones((2, 3, 3, 1)) * ops.cast(step, "float32")
    denoise = lambda x_t, t: 0.5 * x_t + t  # noqa: E731
    written_out = np.asarray(samplers.loop(denoise, x_T, times, columns, noise=draw))
    monkeypatch.setattr(samplers, "UNROLLED", 0)
    np.testing.assert_allclose(written_out, samplers.loop(denoise, x_T, times, columns, noise=draw), atol=1e-5)
