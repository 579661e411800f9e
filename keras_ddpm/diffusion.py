"""The diffusion: a noise table, and what the network predicts.

    x_t = alpha_t x_0 + sigma_t eps            alpha_t = sqrt(alpha_bar_t), sigma_t = sqrt(1 - alpha_bar_t)
    v   = alpha_t eps - sigma_t x_0

x_t and any one of eps, x_0, v give the other two. Index t = -1 is the clean image: alpha = 1, sigma = 0.

Reference: Ho et al., arXiv 2006.11239, eq. 4-7; Salimans and Ho (v-prediction), arXiv 2202.00512, appendix D.
"""

import warnings

import numpy as np
from keras import ops

from keras_ddpm.config import choose
from keras_ddpm.schedules import SCHEDULES, terminal_snr

PREDICTIONS = ("eps", "x0", "v")
MAX_TERMINAL_SNR = 0.01


def uniform(snr, prediction):
    """Weight 1: the paper's L_simple in the space of the prediction. `snr` is an array (T,)."""
    return np.ones_like(snr)


def min_snr(snr, prediction, *, gamma=5.0):
    """min(SNR, gamma), as a weight on the squared error of x_0, carried over to the prediction's own error.

    Since |x_0 error|^2 is |eps error|^2 / SNR and |v error|^2 / (SNR + 1).

    Reference: Hang et al., arXiv 2303.09556, section 3.4.
    """
    clipped = np.minimum(snr, gamma)
    if prediction == "x0":
        return clipped
    if prediction == "v":
        return clipped / (snr + 1.0)
    return np.divide(clipped, snr, out=np.ones_like(snr), where=snr > 0)  # 1 is the limit at SNR 0


WEIGHTINGS = {"uniform": uniform, "min_snr": min_snr}


class Diffusion:
    """Tables of alpha, sigma and loss weights; everything that is done with them is a pure function of arrays.

    Args:
        alpha_bar: Array (T,), decreasing, in [0, 1).
        prediction: "eps", "x0" or "v".
        weighting: Function `(snr (T,), prediction) -> weights (T,)`; see `WEIGHTINGS`.

    Raises:
        ValueError: if the table or the prediction is none, or if eps is to be predicted where no signal is left.

    Warns:
        UserWarning: if x_T is not noise (terminal SNR above 0.01), because sampling starts from noise.
    """

    def __init__(self, alpha_bar, prediction="v", *, weighting=uniform):
        alpha_bar = np.asarray(alpha_bar, dtype="float64")
        if alpha_bar.ndim != 1 or alpha_bar.size < 1 or not np.all((alpha_bar >= 0) & (alpha_bar < 1)):
            raise ValueError(f"`alpha_bar` must be an array (T,) of values in [0, 1). Received: {alpha_bar!r}")
        if np.any(np.diff(alpha_bar) > 0):
            raise ValueError("`alpha_bar` must decrease with t. Received a table that increases somewhere")
        if prediction not in PREDICTIONS:
            raise ValueError(f"`prediction` must be one of {PREDICTIONS}. Received: {prediction!r}")
        if prediction == "eps" and alpha_bar[-1] == 0:
            raise ValueError("With zero terminal SNR, eps says nothing about x_0: use `prediction` 'v' or 'x0'")
        if terminal_snr(alpha_bar) > MAX_TERMINAL_SNR:
            warnings.warn(_not_noise(alpha_bar), stacklevel=2)
        self.alpha_bar, self.prediction = alpha_bar, prediction
        snr = alpha_bar / (1.0 - alpha_bar)
        self._weight = weighting(snr, prediction).astype("float32")
        with_clean = np.append(alpha_bar, 1.0)  # so that index -1 is the clean image
        self._alpha = np.sqrt(with_clean).astype("float32")
        self._sigma = np.sqrt(1.0 - with_clean).astype("float32")

    @classmethod
    def from_names(cls, *, schedule="cosine", T=1000, prediction="v", weighting="uniform"):
        """A diffusion from the names that a configuration holds.

        Raises:
            ValueError: for an unknown name; the error lists the choices.
        """
        table = choose(SCHEDULES, schedule, "schedule")(T)
        return cls(table, prediction, weighting=choose(WEIGHTINGS, weighting, "weighting"))

    @property
    def T(self):
        """Number of noise levels."""
        return self.alpha_bar.size

    def alpha_sigma(self, t):
        """alpha_t and sigma_t, shaped to multiply images.

        Args:
            t: int32 tensor () or (B,), each in -1 ... T-1.

        Returns:
            Two float32 tensors, () or (B, 1, 1, 1).
        """
        index = ops.where(t < 0, self.T, t)
        return tuple(_like_image(ops.take(ops.convert_to_tensor(table), index)) for table in (self._alpha, self._sigma))

    def weight(self, t):
        """Loss weight of each level: (B,) -> (B,)."""
        return ops.take(ops.convert_to_tensor(self._weight), t)

    def add_noise(self, x_0, eps, t):
        """x_t = alpha_t x_0 + sigma_t eps (DDPM, eq. 4)."""
        alpha_t, sigma_t = self.alpha_sigma(t)
        return alpha_t * x_0 + sigma_t * eps

    def target(self, x_0, eps, t):
        """What the network should say for x_t: eps, x_0 or v."""
        alpha_t, sigma_t = self.alpha_sigma(t)
        return {"eps": eps, "x0": x_0, "v": alpha_t * eps - sigma_t * x_0}[self.prediction]

    def x_0(self, prediction, x_t, t):
        """The x_0 that a prediction stands for.

        From eps this divides by alpha_t, which is small at the noisy end: clip the result.
        """
        alpha_t, sigma_t = self.alpha_sigma(t)
        if self.prediction == "eps":
            return (x_t - sigma_t * prediction) / alpha_t
        if self.prediction == "v":
            return alpha_t * x_t - sigma_t * prediction
        return prediction

    def eps(self, x_0, x_t, t):
        """The noise that leads from x_0 to x_t, for t >= 0."""
        alpha_t, sigma_t = self.alpha_sigma(t)
        return (x_t - alpha_t * x_0) / sigma_t


def posterior(alpha_bar_t, alpha_bar_s):
    """The Gaussian q(x_s | x_t, x_0), s < t, as coefficients of its mean and its variance.

    mean = a x_t + b x_0,  a = alpha_ts (1 - alpha_bar_s) / (1 - alpha_bar_t),  b = alpha_s beta_ts / (1 - alpha_bar_t),
    variance = beta_ts (1 - alpha_bar_s) / (1 - alpha_bar_t),  alpha_ts = alpha_t / alpha_s,  beta_ts = 1 - alpha_ts^2.

    Args:
        alpha_bar_t: Array or float, at the noisier level.
        alpha_bar_s: The same at the cleaner level; 1 for the clean image.

    Returns:
        a, b, variance: float64, like the arguments.

    Reference: DDPM, arXiv 2006.11239, eq. 6 and 7 (there s = t - 1).
    """
    alpha_bar_t, alpha_bar_s = np.asarray(alpha_bar_t, "float64"), np.asarray(alpha_bar_s, "float64")
    beta_ts = 1.0 - alpha_bar_t / alpha_bar_s
    a = np.sqrt(alpha_bar_t / alpha_bar_s) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    b = np.sqrt(alpha_bar_s) * beta_ts / (1.0 - alpha_bar_t)
    return a, b, beta_ts * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)


def _like_image(a):
    return ops.reshape(a, (-1, 1, 1, 1)) if len(a.shape) else a


def _not_noise(alpha_bar):
    return (
        f"At t = T - 1 = {alpha_bar.size - 1} the signal-to-noise ratio is still {terminal_snr(alpha_bar):.3g}, while "
        "sampling starts from pure noise, so samples will be grey tangles of strokes with the wrong brightness: choose "
        "'scaled_linear', 'cosine' or 'zero_terminal_snr', or a larger T."
    )
