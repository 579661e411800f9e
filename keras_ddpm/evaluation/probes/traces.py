"""The numbers along a few sampling chains: x_t, eps, mu, and the x_0 estimate before thresholding.

    eps = (x_t - alpha_t x_0) / sigma_t         mu = a x_t + b x_0 + c x_0'

with x_0 the estimate that the sampler used, x_0' the one before it, and a, b, c the sampler's coefficients: mu is the
mean of the next state, before noise is added.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Traces(NamedTuple):
    """What `health` looks at.

    values: dict from a quantity to its trace, float32 (S, N, H, W, C).
    steps: (S,), the time of each step, as a person reads it.
    alpha_bar_end: alpha_bar at the noisy end of the schedule.
    """

    values: dict[str, np.ndarray]
    steps: np.ndarray
    alpha_bar_end: float


def quantities(
    path: dict[str, np.ndarray],
    *,
    kept: np.ndarray,
    times: np.ndarray,
    alpha_sigma: tuple[np.ndarray, np.ndarray],
    columns: np.ndarray,
    estimate: Callable,
) -> dict[str, np.ndarray]:
    """The four quantities at some steps of a path that was drawn already.

    Args:
        path: `x_T` float (N, H, W, C); the states after each step `x_s` and the estimates `x_0`, (N, S, H, W, C).
        kept: Indices (K,) of the steps to keep.
        times: (S,), at which the steps start.
        alpha_sigma: alpha_t and sigma_t at these times, S numbers each.
        columns: (S, 4), the sampler's coefficients a, b, c, d.
        estimate: Function (x_t, t) -> x_0 before thresholding, for the path's N chains.

    Returns:
        dict of float32 arrays (K, N, H, W, C): x_t, eps, mu, x_0.
    """
    used = np.moveaxis(path["x_0"], 1, 0)  # (S, N, H, W, C), like all below
    x_t = np.concatenate([path["x_T"][None], np.moveaxis(path["x_s"], 1, 0)[:-1]])
    before = np.concatenate([np.zeros_like(used[:1]), used[:-1]])
    a, b, c, _ = columns.T.astype("float32")[..., None, None, None, None]
    alpha, sigma = (np.asarray(table).reshape(-1, 1, 1, 1, 1) for table in alpha_sigma)
    found = {"x_t": x_t, "eps": (x_t - alpha * used) / sigma, "mu": a * x_t + b * used + c * before}
    found = {name: trace[kept] for name, trace in found.items()}
    found["x_0"] = np.stack([np.asarray(estimate(x_t, t)) for x_t, t in zip(found["x_t"], times[kept], strict=True)])
    return found
