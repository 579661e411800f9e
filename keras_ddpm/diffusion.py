"""The diffusion: a noise schedule, and what the network predicts.

    x_t = alpha_t x_0 + sigma_t eps
    y   = p_t x_0 + q_t eps             what the network predicts for x_t, see `algebra.PREDICTIONS`

x_t and y determine x_0 and eps, whatever alpha_t and sigma_t are:

    x_0 = (q_t x_t - sigma_t y) / (q_t alpha_t - p_t sigma_t)

Reference: Ho et al., arXiv 2006.11239, eq. 4-7; Salimans and Ho (v-prediction), arXiv 2202.00512, appendix D; Lipman et
al. (velocity), arXiv 2210.02747.
"""

import warnings
from collections.abc import Callable

import keras
from keras import ops

from keras_ddpm.algebra import PREDICTIONS
from keras_ddpm.algebra import posterior as posterior
from keras_ddpm.config import choose
from keras_ddpm.saving.serialization import PACKAGE, deserialize, register, serialize
from keras_ddpm.schedules import SCHEDULES, Discrete, Schedule, flow_matching, levels, snap, terminal_snr
from keras_ddpm.types import Tensor

MAX_TERMINAL_SNR = 0.01


def uniform(alpha_t: Tensor, sigma_t: Tensor, p_t: Tensor, q_t: Tensor) -> Tensor:
    """Weight 1: the paper's L_simple in the space of the prediction."""
    return ops.ones_like(alpha_t)


def min_snr(alpha_t: Tensor, sigma_t: Tensor, p_t: Tensor, q_t: Tensor, *, gamma=5.0) -> Tensor:
    """min(SNR, gamma) as a weight on the squared error of x_0, carried over to the prediction's own error.

    An error of y is an error of x_0 times sigma_t / (q_t alpha_t - p_t sigma_t), and SNR sigma^2 = alpha^2.

    Reference: Hang et al., arXiv 2303.09556, section 3.4.
    """
    return ops.minimum(alpha_t**2, gamma * sigma_t**2) / (q_t * alpha_t - p_t * sigma_t) ** 2


register(uniform, min_snr, flow_matching)

WEIGHTINGS = {"uniform": uniform, "min_snr": min_snr}
"""Functions (alpha_t, sigma_t, p_t, q_t), each (B,) or a number -> weights (B,)."""


@keras.saving.register_keras_serializable(PACKAGE)
class Diffusion:
    """A schedule and a prediction; everything that is done with them is a pure function of arrays.

    Args:
        schedule: Function t -> (alpha_t, sigma_t), such as `schedules.cosine(1000)` or `schedules.flow_matching`.
        prediction: One of `PREDICTIONS`.
        weighting: One of `WEIGHTINGS`, or any function like them.

    Raises:
        ValueError: for an unknown prediction, or if eps is to be predicted where no signal is left.

    Warns:
        UserWarning: if x_1 is not noise (terminal SNR above 0.01), because sampling starts from noise.

    Example:
        >>> diffusion = Diffusion(schedules.flow_matching, "velocity")
    """

    def __init__(self, schedule: Schedule, prediction: str = "v", *, weighting: Callable = uniform):
        choose(PREDICTIONS, prediction, "prediction")
        if prediction == "eps" and terminal_snr(schedule) == 0:
            raise ValueError("With zero terminal SNR, eps says nothing about x_0: use `prediction` 'v' or 'x0'")
        if terminal_snr(schedule) > MAX_TERMINAL_SNR:
            warnings.warn(_not_noise(schedule), stacklevel=2)
        self.schedule, self.prediction, self.weighting = schedule, prediction, weighting

    @classmethod
    def from_names(
        cls, *, schedule: str = "cosine", T: int = 1000, prediction: str = "v", weighting: str = "uniform"
    ) -> "Diffusion":
        """A diffusion from the names that a configuration holds.

        Raises:
            ValueError: for an unknown name; the error lists the choices.
        """
        function = choose(SCHEDULES, schedule, "schedule")(T)
        return cls(function, prediction, weighting=choose(WEIGHTINGS, weighting, "weighting"))

    @property
    def levels(self) -> int | None:
        """Number of noise levels, T; None if the schedule is continuous."""
        return levels(self.schedule)

    def snap(self, t: Tensor) -> Tensor:
        """t, moved to the schedule's own levels if it has some: (B,) in (0, 1] -> (B,)."""
        return snap(self.schedule, t)

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t, shaped to multiply images.

        Args:
            t: () or (B,), in [0, 1].

        Returns:
            Two float32 tensors, () or (B, 1, 1, 1).
        """
        return tuple(_like_image(a) for a in self.schedule(ops.convert_to_tensor(t, "float32")))

    def weight(self, t: Tensor) -> Tensor:
        """Loss weight at each time: (B,) -> (B,)."""
        alpha_t, sigma_t = self.schedule(ops.convert_to_tensor(t, "float32"))
        return self.weighting(alpha_t, sigma_t, *PREDICTIONS[self.prediction](alpha_t, sigma_t))

    def add_noise(self, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t = alpha_t x_0 + sigma_t eps (DDPM, eq. 4)."""
        alpha_t, sigma_t = self.alpha_sigma(t)
        return alpha_t * x_0 + sigma_t * eps

    def target(self, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the network should predict for x_t: y = p_t x_0 + q_t eps."""
        p_t, q_t = PREDICTIONS[self.prediction](*self.alpha_sigma(t))
        return p_t * x_0 + q_t * eps

    def x_0(self, y: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The x_0 that a prediction y stands for.

        From eps this divides by alpha_t, which is small at the noisy end: clip the result.
        """
        if self.prediction == "x0":
            return y
        alpha_t, sigma_t = self.alpha_sigma(t)
        p_t, q_t = PREDICTIONS[self.prediction](alpha_t, sigma_t)
        return (q_t * x_t - sigma_t * y) / (q_t * alpha_t - p_t * sigma_t)

    def eps(self, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The noise that leads from x_0 to x_t, for t > 0."""
        alpha_t, sigma_t = self.alpha_sigma(t)
        return (x_t - alpha_t * x_0) / sigma_t

    def get_config(self) -> dict:
        schedule = self.schedule
        table = {"alpha_bar": schedule.alpha_bar.tolist()} if isinstance(schedule, Discrete) else serialize(schedule)
        return {"schedule": table, "prediction": self.prediction, "weighting": serialize(self.weighting)}

    @classmethod
    def from_config(cls, config: dict) -> "Diffusion":
        table, weighting = config["schedule"], deserialize(config["weighting"])
        schedule = Discrete(table["alpha_bar"]) if "alpha_bar" in table else deserialize(table)
        return cls(schedule, config["prediction"], weighting=weighting)


def _like_image(a):
    return ops.reshape(a, (-1, 1, 1, 1)) if len(a.shape) else a


def _not_noise(schedule):
    return (
        f"At t = 1 the signal-to-noise ratio is still {terminal_snr(schedule):.3g}, while "
        "sampling starts from pure noise, so samples will be grey tangles of strokes with the wrong brightness: choose "
        "'scaled_linear', 'cosine' or 'zero_terminal_snr', or a larger T."
    )
