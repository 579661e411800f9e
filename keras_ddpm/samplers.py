"""Samplers: every one is a linear step in x_0 form, driven by one loop.

    x_s = a x_t + b x_0 + c x_0' + d noise

x_0 is the denoiser's estimate at t, x_0' the one before it. A sampler is a function that computes the columns a, b, c
and d for all its steps, in float64, from the alpha_bar it passes through. It never hears of labels or networks.
Once x_0 is clipped to the range of images no schedule makes it explode: a and b come from the posterior's mean.
"""

import numpy as np
from keras import ops

from keras_ddpm.diffusion import posterior


def ddpm(alpha_bar_t, alpha_bar_s):
    """Ancestral sampling: x_s ~ q(x_s | x_t, x_0), with the posterior's own ("fixed small") variance.

    Args:
        alpha_bar_t: float64 (S,), alpha_bar where each step starts.
        alpha_bar_s: float64 (S,), alpha_bar where it ends; 1 is clean.

    Returns:
        float64 (S, 4): the columns a, b, c, d.

    Reference: Ho et al., arXiv 2006.11239, algorithm 2 and eq. 7.
    """
    a, b, variance = posterior(alpha_bar_t, alpha_bar_s)
    return np.stack([a, b, np.zeros_like(a), np.sqrt(variance)], axis=-1)


def ddim(alpha_bar_t, alpha_bar_s, *, eta=0.0):
    """DDIM: x_s = alpha_s x_0 + sqrt(1 - alpha_bar_s - d^2) eps + d noise, with eps = (x_t - alpha_t x_0) / sigma_t.

    d = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s)

    Args:
        alpha_bar_t, alpha_bar_s: See `ddpm`.
        eta: 0 is deterministic, 1 is DDPM.

    Returns:
        float64 (S, 4).

    Reference: Song et al., arXiv 2010.02502, eq. 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"`eta` must be in [0, 1]. Received: {eta}")
    d = eta * np.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s))
    a = np.sqrt(np.maximum(1 - alpha_bar_s - d**2, 0) / (1 - alpha_bar_t))
    b = np.sqrt(alpha_bar_s) - a * np.sqrt(alpha_bar_t)
    return np.stack([a, b, np.zeros_like(a), d], axis=-1)


def dpm_solver_pp_2m(alpha_bar_t, alpha_bar_s):
    """DPM-Solver++ (2M): a second-order multistep solver; first order in the first step and the last.

    x_s = sigma_s / sigma_t x_t - alpha_s (e^-h - 1) ((1 + 1 / 2r) x_0 - 1 / 2r x_0'),
    h = lambda_s - lambda_t,  r = h' / h,  lambda = ln(alpha / sigma),  h' the h of the step before.

    Args:
        alpha_bar_t, alpha_bar_s: See `ddpm`.

    Returns:
        float64 (S, 4).

    Reference: Lu et al., arXiv 2211.01095, algorithm 2.
    """
    alpha_t, sigma_t = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    alpha_s, sigma_s = np.sqrt(alpha_bar_s), np.sqrt(1 - alpha_bar_s)
    half_over_r = _half_over_r(alpha_bar_t, alpha_bar_s)
    weight = alpha_s - sigma_s / sigma_t * alpha_t  # = -alpha_s (e^-h - 1)
    a, b, c = sigma_s / sigma_t, weight * (1 + half_over_r), -weight * half_over_r
    return np.stack([a, b, c, np.zeros_like(a)], axis=-1)


def dpm_solver_pp_2m_sde(alpha_bar_t, alpha_bar_s):
    """SDE-DPM-Solver++ (2M): DDPM's step made second order, so that noise keeps mending errors in few steps.

    x_s = sigma_s / sigma_t e^-h x_t + alpha_s (1 - e^-2h) ((1 + 1 / 2r) x_0 - 1 / 2r x_0') + d noise,
    d = sigma_s sqrt(1 - e^-2h)

    with h and r as in `dpm_solver_pp_2m`. Without the term of x_0' this is `ddpm`.

    Args:
        alpha_bar_t, alpha_bar_s: See `ddpm`.

    Returns:
        float64 (S, 4).

    Reference: Lu et al., arXiv 2211.01095, SDE-DPM-Solver++ (2M).
    """
    a, b, d = ddpm(alpha_bar_t, alpha_bar_s)[:, [0, 1, 3]].T
    half_over_r = _half_over_r(alpha_bar_t, alpha_bar_s)
    return np.stack([a, b * (1 + half_over_r), -b * half_over_r, d], axis=-1)


SAMPLERS = {
    "ddpm": ddpm,
    "ddim": ddim,
    "dpm_solver_pp_2m": dpm_solver_pp_2m,
    "dpm_solver_pp_2m_sde": dpm_solver_pp_2m_sde,
}


def trailing_times(T, steps):
    """`steps` times from T - 1 downwards, evenly spaced so that the first is T - 1 and the last step ends at -1.

    Args:
        T: Number of noise levels.
        steps: 1 ... T.

    Returns:
        int32 (steps,).

    Raises:
        ValueError: if steps is not an integer in 1 ... T.

    Reference: Lin et al., arXiv 2305.08891, table 2.
    """
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 1 <= steps <= T:
        raise ValueError(f"`steps` must be an integer in 1..{T}. Received: {steps!r}")
    return (np.round(np.arange(T, 0, -T / steps))[:steps] - 1).astype("int32")


def coefficients(sampler, alpha_bar, times):
    """A sampler's columns along the given times.

    Args:
        sampler: One of `SAMPLERS`, or any function like them.
        alpha_bar: float64 (T,).
        times: int (S,), decreasing; the last step goes to the clean image.

    Returns:
        float64 (S, 4).
    """
    at = np.append(np.asarray(alpha_bar, "float64")[times], 1.0)
    return sampler(at[:-1], at[1:])


def loop(denoise, x_T, times, columns, *, noise=None):
    """Algorithm 2 of DDPM, for every sampler.

    Args:
        denoise: Function `(x_t (B, H, W, C), t ()) -> x_0 estimate`.
        x_T: (B, H, W, C) noise.
        times: int32 (S,).
        columns: (S, 4), from `coefficients`.
        noise: (S, B, H, W, C), or None for a sampler whose column d is zero.

    Returns:
        The path: x_s after each step and the x_0 that led to it, both (S, B, H, W, C). The sample is `x_s[-1]`.

    Raises:
        ValueError: if the sampler needs noise and has none.
    """
    if noise is None and np.any(columns[:, 3]):
        raise ValueError("This sampler adds noise in its steps: `noise` must be (S, B, H, W, C). Received: None")

    def step(state, now):
        x_t, before = state
        a, b, c, d = (now["columns"][i] for i in range(4))
        x_0 = denoise(x_t, now["t"])
        x_s = a * x_t + b * x_0 + c * before
        if noise is not None:
            x_s = x_s + d * now["noise"]
        return (x_s, x_0), (x_s, x_0)

    steps = {"t": ops.convert_to_tensor(times), "columns": ops.convert_to_tensor(np.asarray(columns, "float32"))}
    if noise is not None:
        steps["noise"] = noise
    _, path = ops.scan(step, (x_T, ops.zeros_like(x_T)), steps)
    return path


def _half_over_r(alpha_bar_t, alpha_bar_s):
    """1 / 2r = h / 2h' of each step; 0 in the first, which follows none, and in the last, where h is infinite."""
    snr_t, snr_s = alpha_bar_t / (1 - alpha_bar_t), alpha_bar_s[:-1] / (1 - alpha_bar_s[:-1])
    with np.errstate(divide="ignore"):  # lambda is -inf where no signal is left
        h = 0.5 * (np.log(snr_s) - np.log(snr_t[:-1]))  # lambda = ln(alpha / sigma)
    half_over_r = np.zeros_like(snr_t)
    half_over_r[1:-1] = 0.5 * h[1:] / h[:-1]
    return half_over_r
