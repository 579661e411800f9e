"""Restoring: a denoiser that agrees with what was measured, in the loop that draws.

    x_0 <- x_0 - lambda_t A+ (A x_0 - y)
    x_s  = alpha_s x_0 + sigma_s noise

Without noise in y lambda is 1: what y says of the image is put in its place, after clipping, and the network fills in
the rest. The projection wraps a denoiser as guidance and thresholds do, and goes with any of them. With noise

    lambda_t = r_t^2 / (r_t^2 + noise^2),    r_t^2 = sigma_t^2 / (alpha_t^2 + sigma_t^2)

gives y the weight that Bayes' rule gives it beside an estimate of variance r_t^2, which is that of x_0 given x_t for
pixels of variance 1.

The steps are the columns of `samplers.consistency`, whatever the preset's sampler is: x_s keeps nothing of x_t that was
not projected, so each call mends what the one before filled in. With them a step may also end where it began: a time
that is visited several times is RePaint's resampling, and needs nothing but `numpy.repeat`.

Deviation: DDNM+ weakens lambda_t only where noise^2 is above sigma_s^2 and takes the noise of y out of the sampler's.
RePaint goes back ten levels of 250 at a time; with few steps it is enough to stay.

Reference: Wang et al. (DDNM), arXiv 2212.00490, algorithm 1 and section 3.3; Song et al. (r_t), "Pseudoinverse-guided
diffusion models for inverse problems", ICLR 2023; Lugmayr et al. (RePaint), arXiv 2201.09865, section 4.2.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_ddpm import samplers
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.restoration.operators import Operator
from keras_ddpm.schedules import Schedule, levels
from keras_ddpm.types import Denoiser, Tensor

STEPS, REPEATS = 10, 4
"""More visits are better where the digit is unknown and much is missing (see docs/restoration.md)."""


def project(
    denoise: Denoiser, operator: Operator, y: Tensor, *, trust: Callable[[Tensor], Any] = lambda t: 1.0
) -> Denoiser:
    """A denoiser whose x_0 agrees with a measurement: x_0 - trust A+ (A x_0 - y).

    Args:
        denoise: What to wrap, already clipped.
        operator: `Operator`, A and A+.
        y: The measurement, A x of the image in [-1, 1], (B, ...).
        trust: Function t -> lambda_t, such as `trust_in`; 1 where y is exact.
    """

    def projected(x_t, t):
        x_0 = denoise(x_t, t)
        return x_0 - trust(t) * operator.A_pinv(operator.A(x_0) - y)

    return projected


def trust_in(noise: Tensor, diffusion: Diffusion) -> Callable[[Tensor], Tensor]:
    """lambda_t for a measurement with noise.

    Args:
        noise: float (B,), its standard deviation, where black is -1 and white is 1.
        diffusion: `Diffusion`.

    Returns:
        Function t () or (B,) -> (B, 1, 1, 1).
    """
    variance = ops.reshape(noise, (-1, 1, 1, 1)) ** 2

    def trust(t):
        alpha_t, sigma_t = diffusion.alpha_sigma(t)
        r_t = sigma_t**2 / (alpha_t**2 + sigma_t**2)
        return r_t / (r_t + variance)

    return trust


def usual_repeats(sampling: Any) -> int:
    """`REPEATS`, or 1 for a few-step model: its `SamplingConfig` has `trained_steps`."""
    return REPEATS if sampling.trained_steps is None else 1


def times_of(schedule: Schedule, steps: int | None, repeats: int) -> np.ndarray:
    """The times of a restoration.

    Args:
        schedule: Function t -> (alpha_t, sigma_t).
        steps: Number of different times, evenly spaced; None: `STEPS`, or all levels if they are fewer.
        repeats: How often each is visited.

    Returns:
        float64 (steps * repeats,), from 1.

    Raises:
        ValueError: for steps that the schedule does not have.
    """
    T = levels(schedule)
    steps = min(STEPS, T or STEPS) if steps is None else steps
    return np.repeat(samplers.trailing_times(steps, levels=T), repeats)


def draw(
    generator: Any,
    condition: Mapping[str, Tensor],
    w: Tensor,
    key: Tensor,
    *,
    operator: Operator,
    y: Tensor,
    noise: Tensor,
    times: np.ndarray,
) -> Tensor:
    """Images that agree with a measurement.

    Args:
        generator: `Generator`.
        condition, w, key: See `Generator.draw`.
        operator, y: See `project`.
        noise: See `trust_in`.
        times: See `times_of`.

    Returns:
        float32 (B, H, W, C).
    """
    denoise = generator.denoiser(condition, w)
    denoise = project(denoise, operator, y, trust=trust_in(noise, generator.diffusion))
    columns = samplers.coefficients(samplers.consistency, generator.diffusion.schedule, times)
    x_T, between = generator.noise(key, 0), functools.partial(generator.noise, key)
    return samplers.loop(denoise, x_T, times, columns, noise=between)
