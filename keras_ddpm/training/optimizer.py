"""The optimizer that a training configuration asks for, and whether its step is compiled with XLA."""

import math
from typing import Any

import keras
from keras import ops

from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class Trapezoid(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate: linearly up, flat, linearly down to zero.

    The flat part makes the end a late decision: a run that resumes with other `steps` has lost nothing.

    Args:
        peak: Highest learning rate.
        steps: Total number of steps.
        warmup: Steps of the way up.
        cooldown: Fraction of `steps` for the way down, in (0, 1].

    Reference: Hägele et al., arXiv 2405.18392, section 3.
    """

    def __init__(self, peak, steps, *, warmup=500, cooldown=0.35):
        if not 0 < cooldown <= 1 or steps < 1 or warmup < 0:
            raise ValueError(
                "`cooldown` must be in (0, 1], `steps` at least 1, `warmup` at least 0. "
                f"Received: {cooldown}, {steps}, {warmup}"
            )
        self.peak, self.steps, self.warmup, self.cooldown = peak, steps, warmup, cooldown

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        up = (step + 1.0) / (self.warmup + 1.0)
        down = (self.steps - step) / (self.cooldown * self.steps)
        return self.peak * ops.clip(ops.minimum(up, down), 0.0, 1.0)

    def get_config(self) -> dict:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup, "cooldown": self.cooldown}


@keras.saving.register_keras_serializable(PACKAGE)
class Muon(keras.optimizers.Muon):
    """Keras's Muon, for kernels of convolutions too; Keras gives those to AdamW.

    A kernel's momentum becomes a matrix, (height * width * channels in, channels out), and steps along the nearest
    matrix whose singular values are all about 1, with the root mean square that a step of AdamW has. The stem, the
    head, embeddings, biases and norms follow AdamW.

    Reference: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al.,
    arXiv 2502.16982, for the size of a step.
    """

    FIRST_AND_LAST = ("stem", "head", "embed_")

    def _should_use_adamw(self, variable) -> bool:
        return len(variable.shape) < 2 or any(name in variable.path for name in self.FIRST_AND_LAST)

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        matrix = super().zeropower_via_newtonschulz5(ops.reshape(x, (-1, x.shape[-1])), steps)
        return ops.reshape(matrix, x.shape)

    def lr_adjust(self, x: Tensor) -> Tensor:
        *rows, columns = x.shape
        return x * self.rms_rate * max(math.prod(rows), columns) ** 0.5


def make_optimizer(training: Any, steps, *, betas=(0.9, 0.999)) -> keras.optimizers.Optimizer:
    """AdamW or Muon, with clipped gradients.

    Args:
        training: `TrainingConfig`.
        steps: Number of optimizer steps of the whole run.
        betas: Decays of the two moments.

    Returns:
        A Keras optimizer, with loss scaling under float16.

    Raises:
        ValueError: if a plateau is to lower a learning rate that already follows a schedule, or for float16 on JAX.
    """
    if training.precision == "mixed_float16" and keras.backend.backend() == "jax":
        raise ValueError("`precision` 'mixed_float16' needs the TensorFlow backend; on JAX choose 'mixed_bfloat16'")
    rate = training.learning_rate
    if training.learning_rate_schedule == "trapezoid":
        if training.plateau_patience is not None:
            raise ValueError("`plateau_patience` needs `learning_rate_schedule` 'constant'. Received: 'trapezoid'")
        rate = Trapezoid(rate, steps, warmup=training.warmup_steps, cooldown=training.cooldown)
    shared = {"weight_decay": training.weight_decay, "epsilon": 1e-8, "global_clipnorm": training.clip_norm}
    if training.optimizer == "muon":
        adam = {"adam_weight_decay": training.weight_decay, "adam_beta_1": betas[0], "adam_beta_2": betas[1]}
        optimizer = Muon(rate, **adam, **shared)
    else:
        optimizer = keras.optimizers.AdamW(rate, beta_1=betas[0], beta_2=betas[1], **shared)
    scaled = training.precision == "mixed_float16"
    return keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer


def use_xla(jit: str) -> bool:
    """Whether to compile with XLA: "on", "off", or "auto": wherever there is a GPU, and always under JAX.

    On a CPU TensorFlow's oneDNN kernels in bfloat16 were faster than XLA for the shapes measured
    (`benchmarks/training/speed.py`).
    """
    if jit != "auto":
        return jit == "on"
    if keras.backend.backend() == "jax":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
