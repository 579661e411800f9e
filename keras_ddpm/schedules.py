"""Noise schedules: how much signal and how much noise there is at a time.

    x_t = alpha_t x_0 + sigma_t eps,    t in [0, 1]: t = 0 is the clean image, t = 1 the noisiest

A schedule is a function t -> (alpha_t, sigma_t). DDPM's is read off a table of T levels: level i = 0 ... T - 1 lies at
t = (i + 1) / T and has alpha^2 = alpha_bar_i, sigma^2 = 1 - alpha_bar_i, with the paper's running product
alpha_bar_i = prod_{j <= i} (1 - beta_j) (arXiv 2006.11239, eq. 4). Flow matching needs no table. A schedule computes in
float64 for NumPy arrays and in float32 for tensors, so the same function serves the samplers and the graph.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm.types import Tensor

Schedule = Callable[[Any], tuple[Any, Any]]

ROUNDING = 1e-3  # of a level: (i + 1) / T in float32, times T, may lie a little above i + 1


class Discrete:
    """A schedule that is read off DDPM's table: times between two levels belong to the noisier one.

    Args:
        alpha_bar: Array (T,), decreasing, in [0, 1).

    Raises:
        ValueError: if the table is not of this kind.

    Example:
        >>> alpha_t, sigma_t = cosine(1000)(np.array([0.0, 0.5, 1.0]))
    """

    def __init__(self, alpha_bar: np.ndarray):
        alpha_bar = np.asarray(alpha_bar, dtype="float64")
        if alpha_bar.ndim != 1 or alpha_bar.size < 1 or not np.all((alpha_bar >= 0) & (alpha_bar < 1)):
            raise ValueError(f"`alpha_bar` must be an array (T,) of values in [0, 1). Received: {alpha_bar!r}")
        if np.any(np.diff(alpha_bar) > 0):
            raise ValueError("`alpha_bar` must decrease with t. Received a table that increases somewhere")
        self.alpha_bar = alpha_bar
        with_clean = np.insert(alpha_bar, 0, 1.0)  # (T + 1,): t = 0 is the clean image
        self._alpha, self._sigma = np.sqrt(with_clean), np.sqrt(1.0 - with_clean)

    @property
    def levels(self) -> int:
        """Number of noise levels, T."""
        return self.alpha_bar.size

    def __call__(self, t: Tensor) -> tuple[Any, Any]:
        """alpha_t and sigma_t: t of any shape, in [0, 1] -> two of the same shape."""
        if isinstance(t, float | np.generic | np.ndarray):
            index = np.ceil(np.asarray(t, "float64") * self.levels - ROUNDING).astype("int64")
            return self._alpha[index], self._sigma[index]
        from keras import ops

        index = ops.cast(ops.ceil(t * self.levels - ROUNDING), "int32")
        tables = (ops.convert_to_tensor(table.astype("float32")) for table in (self._alpha, self._sigma))
        return tuple(ops.take(table, index) for table in tables)

    def snap(self, t: Tensor) -> Any:
        """The time of the level that t belongs to: t of any shape, in [0, 1], array or tensor."""
        if isinstance(t, float | np.generic | np.ndarray):
            return np.ceil(np.asarray(t, "float64") * self.levels - ROUNDING) / self.levels
        from keras import ops

        return ops.ceil(t * self.levels - ROUNDING) / self.levels


def linear(T: int, *, beta_start: float = 1e-4, beta_end: float = 0.02) -> Discrete:
    """Betas on a straight line from `beta_start` to `beta_end`.

    The end points were chosen for T = 1000. With fewer steps they add too little noise: see `terminal_snr`.

    Args:
        T: Number of noise levels, an integer >= 1.
        beta_start: Variance added by the first step, in (0, 1).
        beta_end: Variance added by the last step, in (0, 1].

    Returns:
        `Discrete`.

    Raises:
        ValueError: if T is not a positive integer or a beta leaves its range.

    Example:
        >>> float(linear(1000).alpha_bar[-1].round(7))
        4.04e-05

    Reference: Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, section 4.
    """
    T = _checked(T)
    if not (0 < beta_start < 1 and 0 < beta_end <= 1):
        raise ValueError(f"`beta_start` must be in (0, 1) and `beta_end` in (0, 1]. Received: {beta_start}, {beta_end}")
    return Discrete(np.cumprod(1.0 - np.linspace(beta_start, beta_end, T, dtype="float64")))


def scaled_linear(T: int) -> Discrete:
    """The linear schedule with its betas multiplied by 1000 / T, so that x_1 is noise for any T >= 20.

    (Stable Diffusion's code calls something else "scaled_linear": betas linear in their square root.)

    Args:
        T: Number of noise levels, an integer >= 20 (below, beta would exceed 1).

    Returns:
        `Discrete`.

    Raises:
        ValueError: if T < 20.

    Reference: Dhariwal and Nichol's rescaling, arXiv 2105.05233 (code); Chen, arXiv 2301.10972, section 2.
    """
    T = _checked(T)
    if T < 20:
        raise ValueError(f"`scaled_linear` needs T >= 20, since beta_T = 20 / T must not exceed 1. Received: T={T}")
    return linear(T, beta_start=0.1 / T, beta_end=20.0 / T)


def cosine(T: int, *, s: float = 0.008, max_beta: float = 0.999) -> Discrete:
    """alpha_bar follows a squared cosine: slow at both ends.

    f(u) = cos^2((u + s) / (1 + s) pi / 2);  beta_i = min(1 - f((i + 1) / T) / f(i / T), max_beta)

    Args:
        T: Number of noise levels, an integer >= 1.
        s: Offset that keeps the first beta from vanishing, >= 0.
        max_beta: Upper limit of each beta, in (0, 1].

    Returns:
        `Discrete`.

    Raises:
        ValueError: if an argument leaves its range.

    Reference: Nichol and Dhariwal, "Improved DDPM", arXiv 2102.09672, eq. 17.
    """
    T = _checked(T)
    if s < 0 or not 0 < max_beta <= 1:
        raise ValueError(f"`s` must be >= 0 and `max_beta` in (0, 1]. Received: {s}, {max_beta}")
    f = np.cos((np.arange(T + 1, dtype="float64") / T + s) / (1 + s) * np.pi / 2) ** 2
    return Discrete(np.cumprod(1.0 - np.minimum(1.0 - f[1:] / f[:-1], max_beta)))


def zero_terminal_snr(schedule: Discrete) -> Discrete:
    """Shift and stretch the alphas so that the last is exactly 0 and the first is kept.

    alpha' = (alpha - alpha_T) alpha_0 / (alpha_0 - alpha_T). With no signal left in x_1, eps says nothing about x_0
    there: predict v or x_0.

    Args:
        schedule: `Discrete`, with T >= 2 levels.

    Returns:
        `Discrete` with alpha = 0 at t = 1.

    Raises:
        ValueError: if there are fewer than two levels.

    Reference: Lin et al., "Common diffusion noise schedules and sample steps are flawed", arXiv 2305.08891, alg. 1.
    """
    alpha = np.sqrt(schedule.alpha_bar)
    if alpha.size < 2:
        raise ValueError(f"`zero_terminal_snr` needs at least two noise levels. Received: {alpha.size}")
    return Discrete(((alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])) ** 2)


def zero_terminal_snr_linear(T: int) -> Discrete:
    """`zero_terminal_snr(linear(T))`, under one name for the configuration. See both."""
    return zero_terminal_snr(linear(T))


def flow_matching(t: Tensor) -> tuple[Any, Any]:
    """alpha_t = 1 - t, sigma_t = t: a straight line from the image to the noise. Usually the velocity is predicted.

    Args:
        t: Array or tensor of any shape, in [0, 1].

    Returns:
        alpha_t and sigma_t, of the same shape.

    Reference: Lipman et al., arXiv 2210.02747, example II; Liu et al., arXiv 2209.03003 (there t runs the other way).
    """
    return 1.0 - t, t


def levels(schedule: Schedule) -> int | None:
    """Number of noise levels of a discrete schedule; None if it is continuous."""
    return getattr(schedule, "levels", None)


def snap(schedule: Schedule, t: Tensor) -> Any:
    """t itself, or for a discrete schedule the time of the level that it belongs to."""
    return schedule.snap(t) if isinstance(schedule, Discrete) else t


def terminal_snr(schedule: Schedule) -> float:
    """Signal-to-noise ratio alpha^2 / sigma^2 at t = 1: 0 if x_1 is pure noise."""
    alpha, sigma = schedule(np.float64(1.0))
    return float(alpha**2 / sigma**2)


SCHEDULES = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "zero_terminal_snr": zero_terminal_snr_linear,
    "flow_matching": lambda T: flow_matching,
}
"""Functions T -> schedule, by the name that a configuration has for them."""


def _checked(T):
    if isinstance(T, bool) or not isinstance(T, int | np.integer) or T < 1:
        raise ValueError(f"`T` must be an integer >= 1. Received: {T!r}")
    return int(T)
