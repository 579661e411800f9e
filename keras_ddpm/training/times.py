"""Which times a training sees: functions from u, uniform in (0, 1], to t in (0, 1]; a curriculum narrows u at first."""

from keras import ops

from keras_ddpm.types import Tensor


def uniform(u: Tensor) -> Tensor:
    """Every time as often as any other (DDPM, algorithm 1).

    Args:
        u: float (B,) in (0, 1].

    Returns:
        float (B,) in (0, 1].
    """
    return u


def logit_normal(u: Tensor, *, mean=0.0, std=1.0) -> Tensor:
    """Times in the middle more often: logit(t) ~ N(mean, std^2).

    Args:
        u: See `uniform`.
        mean, std: Of logit(t); a larger mean means more noise.

    Returns:
        float (B,) in (0, 1].

    Reference: Esser et al., arXiv 2403.03206, section 3.1.
    """
    z = 2.0**0.5 * ops.erfinv(ops.clip(2.0 * u - 1.0, -1.0 + 1e-6, 1.0 - 1e-6))  # the normal's quantile
    return ops.sigmoid(mean + std * z)


def low_noise_first(u: Tensor, done: Tensor, *, start=0.1, full=0.5) -> Tensor:
    """A curriculum that begins with little noise: u in (0, c], where c grows evenly from `start` to 1.

    Args:
        u: See `uniform`.
        done: float (), the share of the run that is over.
        start: c at the beginning.
        full: The share of the run after which every u is seen.

    Returns:
        float (B,) in (0, 1].
    """
    return u * _width(done, start, full)


def high_noise_first(u: Tensor, done: Tensor, *, start=0.1, full=0.5) -> Tensor:
    """The opposite curriculum, which begins with nearly pure noise: u in (1 - c, 1]; see `low_noise_first`."""
    return 1.0 - (1.0 - u) * _width(done, start, full)


def _width(done, start, full):
    return ops.minimum(1.0, start + (1.0 - start) * done / full)


TIMES = {"uniform": uniform, "logit_normal": logit_normal}
CURRICULA = {"none": None, "low_noise_first": low_noise_first, "high_noise_first": high_noise_first}
