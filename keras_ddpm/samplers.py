"""Samplers: every one is a linear step in x_0 form, driven by one loop.

    x_s = a x_t + b x_0 + c x_0' + d noise

x_0 is the denoiser's estimate at t, x_0' the one before it. A sampler is a function that computes the columns a, b, c
and d for all its steps, in float64, from alpha and sigma at the times it visits. It knows nothing of labels, guidance
or networks, and does not ask for alpha^2 + sigma^2 = 1.
Once x_0 is clipped to the range of images no schedule makes it explode: a and b come from the posterior's mean.
Only the loop needs Keras, and imports it: `runtimes/` computes the same columns without.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm.algebra import posterior
from keras_ddpm.schedules import Schedule, levels
from keras_ddpm.types import Denoiser, Tensor

UNROLLED = 4
"""Up to this many steps the loop is written out in the graph, without a `while`."""


FINE = 10_000  # times among which to look in a continuous schedule
LATER = 0.4  # noise level at which the later calls of `consistency` start
TINY = 1e-6
Sampler = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def ddpm(alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor) -> np.ndarray:
    """Ancestral sampling: x_s ~ q(x_s | x_t, x_0), with the posterior's own ("fixed small") variance.

    Args:
        alpha_t, sigma_t: float64 (S,), where each step starts.
        alpha_s, sigma_s: float64 (S,), where it ends; 1 and 0 is clean.

    Returns:
        float64 (S, 4): the columns a, b, c, d.

    Reference: Ho et al., arXiv 2006.11239, algorithm 2 and eq. 7.
    """
    a, b, variance = posterior(alpha_t, sigma_t, alpha_s, sigma_s)
    return np.stack([a, b, np.zeros_like(a), np.sqrt(variance)], axis=-1)


def ddim(alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor, *, eta=0.0) -> np.ndarray:
    """DDIM: x_s = alpha_s x_0 + sqrt(sigma_s^2 - d^2) eps + d noise, with eps = (x_t - alpha_t x_0) / sigma_t.

    d is eta times the posterior's standard deviation. With flow matching and eta = 0 this is Euler's step along the
    velocity.

    Args:
        alpha_t, sigma_t, alpha_s, sigma_s: See `ddpm`.
        eta: 0 is deterministic, 1 is DDPM.

    Returns:
        float64 (S, 4).

    Raises:
        ValueError: if eta is outside [0, 1].

    Reference: Song et al., arXiv 2010.02502, eq. 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"`eta` must be in [0, 1]. Received: {eta}")
    variance = posterior(alpha_t, sigma_t, alpha_s, sigma_s)[2]
    d = eta * np.sqrt(variance)
    a = np.sqrt(np.maximum(sigma_s**2 - d**2, 0)) / sigma_t
    b = alpha_s - a * alpha_t
    return np.stack([a, b, np.zeros_like(a), d], axis=-1)


def dpm_solver_pp_2m(alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor) -> np.ndarray:
    """DPM-Solver++ (2M): a second-order multistep solver; first order in the first step and the last.

    x_s = sigma_s / sigma_t x_t - alpha_s (e^-h - 1) ((1 + 1 / 2r) x_0 - 1 / 2r x_0'),
    h = lambda_s - lambda_t,  r = h' / h,  lambda = ln(alpha / sigma),  h' the h of the step before.

    Args:
        alpha_t, sigma_t, alpha_s, sigma_s: See `ddpm`.

    Returns:
        float64 (S, 4).

    Reference: Lu et al., arXiv 2211.01095, algorithm 2.
    """
    half_over_r = _half_over_r(alpha_t, sigma_t, alpha_s, sigma_s)
    a = sigma_s / sigma_t
    weight = alpha_s - a * alpha_t  # = -alpha_s (e^-h - 1)
    return np.stack([a, weight * (1 + half_over_r), -weight * half_over_r, np.zeros_like(a)], axis=-1)


def dpm_solver_pp_2m_sde(alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor) -> np.ndarray:
    """SDE-DPM-Solver++ (2M): DDPM's step made second order, so that noise keeps correcting errors in few steps.

    x_s = sigma_s / sigma_t e^-h x_t + alpha_s (1 - e^-2h) ((1 + 1 / 2r) x_0 - 1 / 2r x_0') + d noise,
    d = sigma_s sqrt(1 - e^-2h)

    with h and r as in `dpm_solver_pp_2m`. Without the term of x_0' this is `ddpm`.

    Args:
        alpha_t, sigma_t, alpha_s, sigma_s: See `ddpm`.

    Returns:
        float64 (S, 4).

    Reference: Lu et al., arXiv 2211.01095, SDE-DPM-Solver++ (2M).
    """
    a, b, _, d = ddpm(alpha_t, sigma_t, alpha_s, sigma_s).T
    half_over_r = _half_over_r(alpha_t, sigma_t, alpha_s, sigma_s)
    return np.stack([a, b * (1 + half_over_r), -b * half_over_r, d], axis=-1)


def consistency(alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor) -> np.ndarray:
    """Multistep consistency sampling: x_s = alpha_s x_0 + sigma_s noise, the estimate with new noise.

    For networks whose first estimate is an image already, because consistency or adversarial tuning made it one
    (`training.losses`): the noise makes room for the next call to mend it. It visits the times of `consistency_times`.

    Args:
        alpha_t, sigma_t, alpha_s, sigma_s: See `ddpm`.

    Returns:
        float64 (S, 4).

    Reference: Song et al., arXiv 2303.01469, algorithm 1.
    """
    nothing = np.zeros_like(alpha_t)
    return np.stack([nothing, alpha_s, nothing, sigma_s], axis=-1)


SAMPLERS: dict[str, Sampler] = {
    "consistency": consistency,
    "ddpm": ddpm,
    "ddim": ddim,
    "dpm_solver_pp_2m": dpm_solver_pp_2m,
    "dpm_solver_pp_2m_sde": dpm_solver_pp_2m_sde,
}


def trailing_times(steps: int, *, levels: int | None = None) -> np.ndarray:
    """`steps` times from 1 downwards, evenly spaced, so that the last step ends at 0.

    Args:
        steps: Number of steps, at least 1; at most `levels`.
        levels: T of a discrete schedule, whose own times are taken; None for a continuous one.

    Returns:
        float64 (steps,), decreasing from 1.

    Raises:
        ValueError: if `steps` is not an integer in this range.

    Reference: Lin et al., arXiv 2305.08891, table 2.
    """
    fine = isinstance(steps, int | np.integer) and not isinstance(steps, bool) and 1 <= steps <= (levels or steps)
    if not fine:
        allowed = f"in 1..{levels}" if levels else ">= 1"
        raise ValueError(f"`steps` must be an integer {allowed}. Received: {steps!r}")
    if levels is None:
        return 1.0 - np.arange(steps) / steps
    return np.round(np.arange(levels, 0, -levels / steps))[:steps] / levels


def consistency_times(steps: int, schedule: Schedule) -> np.ndarray:
    """The times of `consistency`: 1, and for every later call the time at which sigma / alpha is 0.4.

    So much noise lets a call mend strokes, and keeps what the image is: more noise costs diversity with every call.

    Args:
        steps: Number of steps, at least 1; at most T of a discrete schedule.
        schedule: Function t -> (alpha_t, sigma_t).

    Returns:
        float64 (steps,), starting at 1.

    Raises:
        ValueError: if `steps` is not an integer in this range.
    """
    trailing_times(steps, levels=levels(schedule))  # for its checks
    return np.append(1.0, np.full(steps - 1, time_of_level(LATER, schedule)))


def time_of_level(level: float, schedule: Schedule) -> float:
    """The time at which sigma / alpha is nearest to a level above 0."""
    count = levels(schedule) or FINE
    times = np.arange(1, count + 1) / count
    alpha, sigma = schedule(times)
    found = np.log(np.maximum(sigma, TINY) / np.maximum(alpha, TINY))
    return float(times[np.abs(found - np.log(level)).argmin()])


def times_of(sampler: Sampler, steps: int, schedule: Schedule) -> np.ndarray:
    """The times that a sampler visits: float64 (steps,), from 1, none later than the one before."""
    if sampler is consistency:
        return consistency_times(steps, schedule)
    return trailing_times(steps, levels=levels(schedule))


def coefficients(sampler: Sampler, schedule: Schedule, times: np.ndarray) -> np.ndarray:
    """A sampler's columns along the given times.

    Args:
        sampler: One of `SAMPLERS`, or any function like them.
        schedule: Function t -> (alpha_t, sigma_t).
        times: float64 (S,), decreasing; the last step goes to the clean image.

    Returns:
        float64 (S, 4).
    """
    alpha, sigma = schedule(np.append(np.asarray(times, "float64"), 0.0))  # (S + 1,) each
    return sampler(alpha[:-1], sigma[:-1], alpha[1:], sigma[1:])


def loop(denoise: Denoiser, x_T: Tensor, times: np.ndarray, columns: np.ndarray, *, noise=None, path=False) -> Any:
    """Algorithm 2 of DDPM, for every sampler.

    Nothing but the current image and estimate is kept, so memory does not grow with the number of steps.

    Args:
        denoise: Function `(x_t (B, H, W, C), t ()) -> x_0 estimate`.
        x_T: (B, H, W, C) noise.
        times: float (S,).
        columns: (S, 4), from `coefficients`.
        noise: Function `step -> (B, H, W, C)`, where step () runs from 1 to S (0 is x_T); None for a sampler whose
            column d is zero.
        path: Whether to return every state.

    Returns:
        The sample (B, H, W, C); with `path`, x_s after each step and the x_0 that led to it, both (S, B, H, W, C).

    Raises:
        ValueError: if the sampler needs noise and has none.
    """
    stochastic = bool(np.any(columns[:, 3]))
    if stochastic and noise is None:
        raise ValueError("This sampler adds noise in its steps: `noise` must be a function of the step. Received: None")
    if len(columns) <= UNROLLED and not path:
        return _unrolled(denoise, x_T, times, columns, noise)
    from keras import ops

    times, table = (ops.convert_to_tensor(np.asarray(a, "float32")) for a in (times, columns))

    def step(i, state):
        x_t, before = state
        a, b, c, d = (table[i, column] for column in range(4))
        x_0 = denoise(x_t, times[i])
        x_s = a * x_t + b * x_0 + c * before
        if stochastic:
            x_s = x_s + d * noise(i + 1)
        return x_s, x_0

    start = (x_T, ops.zeros_like(x_T))
    if path:
        return ops.scan(lambda state, i: (step(i, state),) * 2, start, ops.arange(len(columns)))[1]
    return ops.fori_loop(0, len(columns), step, start)[0]


def _unrolled(denoise, x_T, times, columns, noise):
    """The loop for few steps, without the terms whose column is zero."""
    from keras import ops

    x_t, before = x_T, None
    for i, row in enumerate(np.asarray(columns, "float32").tolist()):
        x_0 = denoise(x_t, ops.convert_to_tensor(np.float32(times[i])))
        terms = [(row[0], x_t), (row[1], x_0), (row[2], before), (row[3], noise(i + 1) if row[3] else None)]
        x_t, before = sum(factor * value for factor, value in terms if factor), x_0
    return x_t


def with_eta(sampler: Sampler, eta: float) -> Sampler:
    """DDIM with its eta bound; other samplers as they are."""
    return functools.partial(sampler, eta=eta) if sampler is ddim else sampler


def _half_over_r(alpha_t, sigma_t, alpha_s, sigma_s):
    """1 / 2r = h / 2h' of each step; 0 in the first, which follows none, and in the last, where h is infinite."""
    with np.errstate(divide="ignore"):  # lambda is -inf where no signal is left
        h = np.log(alpha_s[:-1] / sigma_s[:-1]) - np.log(alpha_t[:-1] / sigma_t[:-1])
    half_over_r = np.zeros_like(alpha_t)
    half_over_r[1:-1] = 0.5 * h[1:] / h[:-1]
    return half_over_r
