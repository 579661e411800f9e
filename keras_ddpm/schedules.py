"""Noise schedules: one float64 table `alpha_bar[t]`, t = 0 ... T-1, and nothing else.

The forward process is x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (DDPM, arXiv 2006.11239, eq. 4),
with alpha_bar_t = prod_{i <= t} (1 - beta_i). A schedule is a choice of the betas; all that follows, in training and
in sampling, reads only their running product.
"""

import numpy as np


def linear(T, *, beta_start=1e-4, beta_end=0.02):
    """Betas on a straight line from `beta_start` to `beta_end`.

    The end points were chosen for T = 1000. With fewer steps they add too little noise: see `terminal_snr`.

    Args:
        T: Number of noise levels, an integer >= 1.
        beta_start: Variance added by the first step, in (0, 1).
        beta_end: Variance added by the last step, in (0, 1].

    Returns:
        float64 array (T,), `alpha_bar`.

    Raises:
        ValueError: if T is not a positive integer or a beta leaves its range.

    Example:
        >>> float(linear(1000)[-1].round(7))
        4.04e-05

    Reference: Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, section 4.
    """
    T = _checked(T)
    if not (0 < beta_start < 1 and 0 < beta_end <= 1):
        raise ValueError(f"`beta_start` must be in (0, 1) and `beta_end` in (0, 1]. Received: {beta_start}, {beta_end}")
    return np.cumprod(1.0 - np.linspace(beta_start, beta_end, T, dtype="float64"))


def scaled_linear(T):
    """The linear schedule with its betas multiplied by 1000 / T, so that x_T is noise for any T >= 20.

    (Stable Diffusion's code calls something else "scaled_linear": betas linear in their square root.)

    Args:
        T: Number of noise levels, an integer >= 20 (below, beta would exceed 1).

    Returns:
        float64 array (T,), `alpha_bar`.

    Raises:
        ValueError: if T < 20.

    Reference: Dhariwal and Nichol's rescaling, arXiv 2105.05233 (code); Chen, arXiv 2301.10972, section 2.
    """
    T = _checked(T)
    if T < 20:
        raise ValueError(f"`scaled_linear` needs T >= 20, since beta_T = 20 / T must not exceed 1. Received: T={T}")
    return linear(T, beta_start=0.1 / T, beta_end=20.0 / T)


def cosine(T, *, s=0.008, max_beta=0.999):
    """alpha_bar follows a squared cosine: slow at both ends.

    f(u) = cos^2((u + s) / (1 + s) pi / 2);  beta_t = min(1 - f((t + 1) / T) / f(t / T), max_beta)

    Args:
        T: Number of noise levels, an integer >= 1.
        s: Offset that keeps the first beta from vanishing, >= 0.
        max_beta: Upper limit of each beta, in (0, 1].

    Returns:
        float64 array (T,), `alpha_bar`.

    Raises:
        ValueError: if an argument leaves its range.

    Reference: Nichol and Dhariwal, "Improved DDPM", arXiv 2102.09672, eq. 17.
    """
    T = _checked(T)
    if s < 0 or not 0 < max_beta <= 1:
        raise ValueError(f"`s` must be >= 0 and `max_beta` in (0, 1]. Received: {s}, {max_beta}")
    f = np.cos((np.arange(T + 1, dtype="float64") / T + s) / (1 + s) * np.pi / 2) ** 2
    return np.cumprod(1.0 - np.minimum(1.0 - f[1:] / f[:-1], max_beta))


def zero_terminal_snr(alpha_bar):
    """Shift and stretch sqrt(alpha_bar) so that its last value is exactly 0 and its first is kept.

    s' = (s - s_T) s_0 / (s_0 - s_T) with s = sqrt(alpha_bar). With no signal left in x_T, eps says nothing about
    x_0 there: use v- or x0-prediction.

    Args:
        alpha_bar: Array (T,), T >= 2, decreasing.

    Returns:
        float64 array (T,), `alpha_bar` with alpha_bar[-1] = 0.

    Raises:
        ValueError: if there are fewer than two levels.

    Reference: Lin et al., "Common diffusion noise schedules and sample steps are flawed", arXiv 2305.08891, alg. 1.
    """
    s = np.sqrt(np.asarray(alpha_bar, dtype="float64"))
    if s.size < 2:
        raise ValueError(f"`zero_terminal_snr` needs at least two noise levels. Received: {s.size}")
    return ((s - s[-1]) * s[0] / (s[0] - s[-1])) ** 2


def zero_terminal_snr_linear(T):
    """`zero_terminal_snr(linear(T))`, under one name for the configuration. See both."""
    return zero_terminal_snr(linear(T))


def terminal_snr(alpha_bar):
    """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) of x_T: 0 if x_T is pure noise.

    Args:
        alpha_bar: Array (T,).

    Returns:
        float.
    """
    last = float(np.asarray(alpha_bar, dtype="float64")[-1])
    return last / (1.0 - last)


SCHEDULES = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "zero_terminal_snr": zero_terminal_snr_linear,
}


def _checked(T):
    if isinstance(T, bool) or not isinstance(T, (int, np.integer)) or T < 1:
        raise ValueError(f"`T` must be an integer >= 1. Received: {T!r}")
    return int(T)
