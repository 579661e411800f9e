"""Which times a training sees: functions from u, uniform in (0, 1], to t in (0, 1]."""

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


TIMES = {"uniform": uniform, "logit_normal": logit_normal}
