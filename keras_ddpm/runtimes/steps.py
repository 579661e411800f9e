"""A sampler as a table of numbers, one row a step: all that drawing needs beside the network, in any language.

    y   = network(x_t, t, condition)                in a guided step  y = y_null + w (y - y_null)
    x_0 = threshold(from_x x_t + from_y y)
    x_s = a x_t + b x_0 + c x_0' + d noise_k        k = 1 ... S; it starts at temperature noise_0

In a step that is not guided w counts only below 1 (see `guidance.within`). The numbers come from the same functions as
`Generator`'s: schedule, prediction and sampler.
"""

import dataclasses

import numpy as np

from keras_ddpm import samplers
from keras_ddpm.algebra import PREDICTIONS
from keras_ddpm.config import Config, choose
from keras_ddpm.schedules import SCHEDULES

GUIDANCES = ("classifier_free", "none")


@dataclasses.dataclass(frozen=True)
class Steps:
    """The steps of a sampler: each field has a number for each.

    Args:
        t: Times, decreasing from 1.
        from_x, from_y: x_0 = from_x x_t + from_y y.
        guided: Whether w above 1 counts.
        columns: (S, 4), a to d.
        guidance: Whether w counts at all.
        threshold: "static", "dynamic" or "none".
        temperature: Standard deviation of x_T.
    """

    t: np.ndarray
    from_x: np.ndarray
    from_y: np.ndarray
    guided: np.ndarray
    columns: np.ndarray
    guidance: bool
    threshold: str
    temperature: float

    def to_values(self) -> dict:
        """The table as plain values, for JSON."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}


def steps_of(config: Config) -> Steps:
    """The steps of a configuration's sampler.

    Raises:
        ValueError: for an unknown sampler, wrong steps, or a guidance that is more than one network.
    """
    sampling, schedule = config.sampling, choose(SCHEDULES, config.diffusion.schedule, "schedule")(config.diffusion.T)
    if sampling.guidance not in GUIDANCES:
        raise ValueError(f"A runtime's `guidance` must be one of {list(GUIDANCES)}. Received: {sampling.guidance!r}")
    if sampling.guide is not None:
        raise ValueError(f"`guide` must be None: a runtime has no gradients. Received: {sampling.guide!r}")
    sampler = samplers.with_eta(choose(samplers.SAMPLERS, sampling.sampler, "sampler"), sampling.eta)
    times = samplers.times_of(sampler, sampling.steps, schedule)
    alpha, sigma = schedule(times)
    p, q = (np.broadcast_to(a, times.shape) for a in PREDICTIONS[config.diffusion.prediction](alpha, sigma))
    scale = q * alpha - p * sigma
    low, high = sampling.guidance_interval or (0.0, np.inf)
    return Steps(
        t=times,
        from_x=q / scale,
        from_y=-sigma / scale,
        guided=(low * alpha <= sigma) & (sigma / high <= alpha),
        columns=samplers.coefficients(sampler, schedule, times),
        guidance=sampling.guidance != "none",
        threshold=sampling.threshold,
        temperature=sampling.temperature,
    )
