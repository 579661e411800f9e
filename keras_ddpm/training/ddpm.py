"""Training: DDPM's algorithm 1 as a Keras model with its own train step.

    repeat
        x_0 ~ data,  t ~ times,  eps ~ N(0, I),  condition dropped with probability p_uncond
        descend on  weight_t | network(alpha_t x_0 + sigma_t eps, t, condition) - y |^2
        ema <- d ema + (1 - d) weights

Reference: Ho et al., arXiv 2006.11239, algorithm 1; Ho and Salimans (dropped labels), arXiv 2207.12598, algorithm 1.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from keras_ddpm.codec import Codec, codec_of
from keras_ddpm.conditions import from_values, nulls, to_values
from keras_ddpm.data.first_batch import check_first_batch
from keras_ddpm.networks.call import predict
from keras_ddpm.saving.serialization import PACKAGE, deserialize, register, serialize
from keras_ddpm.training.times import CURRICULA, TIMES, uniform
from keras_ddpm.training.train_step import AveragedModel
from keras_ddpm.types import Tensor

QUARTERS = 4

register(*TIMES.values(), *filter(None, CURRICULA.values()))


@keras.saving.register_keras_serializable(PACKAGE)
class DDPM(AveragedModel):
    """Trains a network; keeps an exponential moving average of its weights beside it.

    Args:
        network: A `UNet`, or any Keras model that predicts y: a subclass called as (x_t, t, condition), or a functional
            model with inputs named "x_t", "t" and one for each condition. It must be built, or build itself by
            `build()`. The average is kept in a copy, made through `get_config`; without one, give `ema_decay=0`.
        diffusion: `Diffusion`.
        codec: `Codec` whose latents are diffused; None for the images themselves. Its weights stay as they are.
        conditions: dict of name -> `Label` or `Scalar`; None: the network's own.
        p_uncond: Probability of dropping the condition, in [0, 1], all entries of it together; or a dict of one for
            each entry, which are dropped independently. In a dict None stands for a probability that each image draws
            anew, the same for all such entries: it loses any number of them, each number as often.
        ema_decay: See `AveragedModel`.
        times: Function u (B,) uniform in (0, 1] -> t (B,) in (0, 1]; see `times.TIMES`.
        curriculum: Function (u (B,), share of the run that is over) -> u (B,), see `times.CURRICULA`; None: all times
            from the beginning.
        steps: Optimizer steps of the whole run, by which a curriculum goes.
        seed: Seed of t, eps and the dropped conditions.

    Call arguments:
        x_0: (B, H, W, C) in [-1, 1].
        condition: dict of (B,); an array (B,) is the label.

    Returns:
        The loss of each image (B,) and its t (B,).

    Raises:
        ValueError: for an argument out of range, or a network that cannot be copied.

    Example:
        >>> model = DDPM(network, diffusion)
        >>> model.compile(optimizer="adam")
        >>> model.fit(images, labels, batch_size=128, epochs=50)
    """

    def __init__(
        self,
        network: keras.Model,
        diffusion,
        *,
        codec: Codec | None = None,
        conditions: Mapping | None = None,
        p_uncond: float | Mapping[str, float | None] = 0.1,
        ema_decay: float = 0.9995,
        times: Callable = uniform,
        curriculum: Callable | None = None,
        steps: int | None = None,
        seed: int = 0,
        **kwargs,
    ):
        conditions = dict(_conditions(network) if conditions is None else conditions)
        each = dict(p_uncond) if isinstance(p_uncond, Mapping) else dict.fromkeys(conditions, p_uncond)
        if p_uncond is None or not all(p is None or 0 <= p <= 1 for p in each.values()) or not 0 <= ema_decay < 1:
            raise ValueError(f"`p_uncond` must be in [0, 1], `ema_decay` in [0, 1). Received: {p_uncond}, {ema_decay}")
        if set(each) != set(conditions):
            raise ValueError(f"`p_uncond` must hold {sorted(conditions)}. Received: {sorted(each)}")
        if curriculum is not None and not steps:
            raise ValueError(
                f"`steps` must be the run's optimizer steps, by which `curriculum` goes. Received: {steps}"
            )
        super().__init__(network, ema_decay=ema_decay, seed=seed, **kwargs)
        self.conditions, self.diffusion, self.codec = conditions, diffusion, codec_of(network, codec)
        self.p_uncond, self.times, self.curriculum, self.steps = p_uncond, times, curriculum, steps
        if isinstance(self.codec, keras.Model):
            self.codec.trainable = False
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.quarter_trackers = [keras.metrics.Mean(name=f"loss_q{q + 1}") for q in range(QUARTERS)]
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, *self.quarter_trackers]

    def fit(self, x: Any = None, y: Any = None, **kwargs) -> keras.callbacks.History:
        """Keras's `fit`, after a look at the first batch.

        Args:
            x: Images float (N, H, W, C) in [-1, 1], with labels or a dict of conditions in `y`; or a
                `keras.utils.PyDataset` or `tf.data.Dataset` of pairs.
            y: int (N,), or a dict of (N,).
            **kwargs: See `keras.Model.fit`.

        Raises:
            ValueError: if the images are not in [-1, 1], or a condition is missing or out of range.
        """
        check_first_batch(x, y, self.conditions)
        return super().fit(x, y, **kwargs)

    def call(self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, ...]:
        x_0 = self.codec.encode(x_0)
        t, eps, condition = self.draw(x_0, condition)
        return self.losses(self.network, x_0, condition, t, eps, training=training), t

    def draw(self, x_0: Tensor, condition: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What a step draws for its images: t (B,), eps (B, H, W, C), and the condition, dropped here and there."""
        B = ops.shape(x_0)[0]
        t = self.draw_t(B, self.curriculum)
        eps = keras.random.normal(ops.shape(x_0), seed=self.seeds)
        return t, eps, self.drop(as_dict(condition), B)

    def drop(self, condition: Mapping[str, Tensor], B) -> dict[str, Tensor]:
        """The condition of each row, with its entries replaced by their nulls with probability `p_uncond`."""
        if isinstance(self.p_uncond, Mapping):
            own = keras.random.uniform((B,), seed=self.seeds) if None in self.p_uncond.values() else None
            each = {name: own if p is None else p for name, p in self.p_uncond.items()}
            dropped = {name: keras.random.uniform((B,), seed=self.seeds) < p for name, p in each.items()}
        else:
            dropped = dict.fromkeys(condition, keras.random.uniform((B,), seed=self.seeds) < self.p_uncond)
        null = nulls(self.conditions)
        return {name: ops.where(dropped[name], null[name], value) for name, value in condition.items()}

    def losses(
        self,
        network: keras.Model,
        x_0: Tensor,
        condition: Mapping[str, Tensor],
        t: Tensor,
        eps: Tensor,
        *,
        training: bool | None = False,
    ) -> Tensor:
        """The loss of each image (B,): weight_t times the mean squared error of the prediction."""
        y = predict(network, self.diffusion.add_noise(x_0, eps, t), t, condition, training=training)
        return self.squared_error(ops.cast(y, "float32"), x_0, t, eps)

    def squared_error(self, y: Tensor, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """weight_t times the mean squared error of each prediction y (B, H, W, C): (B,)."""
        error = y - self.diffusion.target(x_0, eps, t)  # (B, H, W, C)
        return self.diffusion.weight(t) * ops.mean(ops.square(error), axis=(1, 2, 3))

    def draw_t(self, B, curriculum: Callable | None = None) -> Tensor:
        """B times, spread evenly over their distribution, which a curriculum narrows.

        Deviation: DDPM draws them independently; one shared offset makes the loss far less noisy
        (Kingma et al., "Variational Diffusion Models", arXiv 2107.00630, appendix I.1).
        """
        offset = keras.random.uniform((1,), seed=self.seeds)
        u = (ops.arange(B, dtype="float32") + offset) / ops.cast(B, "float32")  # (B,) in [0, 1)
        u = ops.maximum(u, 1e-4)
        return self.diffusion.snap(self.times(curriculum(u, self.done()) if curriculum else u))

    def done(self) -> Tensor:
        """The share of the run that is over, by the step that the optimizer is at."""
        return ops.cast(self.optimizer.iterations, "float32") / float(self.steps or 1)

    def update_metrics(self, losses, t: Tensor, weight: Any = None) -> dict[str, Tensor]:
        """Mean loss, and the mean in each quarter of the times (q1 the least noisy); rows of weight 0 do not count."""
        self.loss_tracker.update_state(losses, sample_weight=weight)
        quarter = ops.ceil(t * QUARTERS - 1e-4) - 1.0  # (B,)
        for q, tracker in enumerate(self.quarter_trackers):
            here = ops.cast(quarter == q, "float32")
            tracker.update_state(losses, sample_weight=here if weight is None else weight * here)
        return {metric.name: metric.result() for metric in self.metrics}

    def learn(self, data) -> dict[str, Tensor]:
        x_0, condition = data[:2]

        def loss():
            losses, t = self(x_0, condition, training=True)
            return self.optimizer.scale_loss(ops.mean(losses)), (losses, t)

        gradients, (losses, t) = self.gradients(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.update_ema(self.optimizer.iterations)
        return self.update_metrics(losses, t)

    def measure(self, data) -> dict[str, Tensor]:
        """The averaged network's loss, on the given (t, eps), or on drawn ones if there are none."""
        parts = data[0] if isinstance(data[0], tuple | list) else data[:2]
        x_0, condition, *given = parts
        x_0 = self.codec.encode(x_0)
        weight: list[Tensor] = []
        if given:  # of `validation_set`; on several devices with the weight of each row
            t, eps, *weight = given
        else:
            t = self.draw_t(ops.shape(x_0)[0])
            eps = keras.random.normal(ops.shape(x_0), seed=self.seeds)
        return self.update_metrics(self.losses(self.ema_network, x_0, as_dict(condition), t, eps), t, *weight)

    def get_config(self) -> dict:
        objects = {"diffusion": self.diffusion, "codec": self.codec}
        return {
            **super().get_config(),
            "conditions": to_values(self.conditions),
            "p_uncond": dict(self.p_uncond) if isinstance(self.p_uncond, Mapping) else self.p_uncond,
            "times": serialize(self.times),
            "curriculum": self.curriculum and serialize(self.curriculum),
            "steps": self.steps,
            **{name: keras.saving.serialize_keras_object(value) for name, value in objects.items()},
        }

    @classmethod
    def from_config(cls, config: dict) -> "DDPM":
        objects = {n: keras.saving.deserialize_keras_object(config.get(n)) for n in ("network", "diffusion", "codec")}
        changed = {"conditions": from_values(config["conditions"]), "times": deserialize(config["times"])}
        changed["curriculum"] = config["curriculum"] and deserialize(config["curriculum"])
        return cls(**{**config, **objects, **changed})


def as_dict(condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A dict of conditions; an array alone is the label."""
    return condition if isinstance(condition, Mapping) else {"label": condition}


def _conditions(network):
    try:
        return network.conditions
    except AttributeError as error:
        raise ValueError(
            '`conditions` must be given for a network without an attribute `conditions`, such as {"label": Label(10)}'
        ) from error
