"""The algebra of x_t = alpha_t x_0 + sigma_t eps, without a framework: predictions, and the posterior.

    y = p_t x_0 + q_t eps,    x_0 = (q_t x_t - sigma_t y) / (q_t alpha_t - p_t sigma_t)

`diffusion.py` does this with tensors, `samplers.py` and `runtimes/` with NumPy.
"""

from collections.abc import Callable

import numpy as np

from keras_ddpm.types import Tensor

PREDICTIONS: dict[str, Callable] = {
    "eps": lambda alpha_t, sigma_t: (0.0, 1.0),
    "x0": lambda alpha_t, sigma_t: (1.0, 0.0),
    "v": lambda alpha_t, sigma_t: (-sigma_t, alpha_t),
    "velocity": lambda alpha_t, sigma_t: (-1.0, 1.0),
}
"""(p_t, q_t) of y = p_t x_0 + q_t eps, from alpha_t and sigma_t."""


def posterior(
    alpha_t: Tensor, sigma_t: Tensor, alpha_s: Tensor, sigma_s: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Gaussian q(x_s | x_t, x_0), s < t, as coefficients of its mean and its variance.

    mean = a x_t + b x_0,  a = alpha_ts sigma_s^2 / sigma_t^2,  b = alpha_s sigma_ts^2 / sigma_t^2,
    variance = sigma_ts^2 sigma_s^2 / sigma_t^2,  alpha_ts = alpha_t / alpha_s,
    sigma_ts^2 = sigma_t^2 - alpha_ts^2 sigma_s^2

    Args:
        alpha_t, sigma_t: Arrays or floats, at the noisier time.
        alpha_s, sigma_s: The same at the cleaner time; 1 and 0 for the clean image.

    Returns:
        a, b, variance: float64, like the arguments.

    Reference: DDPM, arXiv 2006.11239, eq. 6 and 7 (there s = t - 1 and alpha^2 + sigma^2 = 1); Kingma et al., arXiv
    2107.00630, appendix A.2 (any alpha, sigma).
    """
    alpha_t, sigma_t, alpha_s, sigma_s = (np.asarray(a, "float64") for a in (alpha_t, sigma_t, alpha_s, sigma_s))
    alpha_ts = alpha_t / alpha_s
    variance_ts = sigma_t**2 - alpha_ts**2 * sigma_s**2
    return (
        alpha_ts * sigma_s**2 / sigma_t**2,
        alpha_s * variance_ts / sigma_t**2,
        variance_ts * sigma_s**2 / sigma_t**2,
    )
