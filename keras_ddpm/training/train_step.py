"""What all objectives share: one train step for both backends, and an average of the weights.

Gradients are taken here, everything else is `keras.ops`.

TensorFlow's trainer calls `train_step(data)` on live variables; JAX's calls `train_step(state, data)` on a state that
is passed along. A `TwoBackendModel` says once what is learned (`learn`) and what is measured (`measure`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_ddpm.networks.call import is_functional
from keras_ddpm.types import Tensor


class TwoBackendModel(keras.Model):
    """A Keras model whose subclasses implement `learn(data) -> logs` and `measure(data) -> logs`."""

    def learn(self, data) -> dict[str, Any]:
        """One step of training on a batch: descend, and return the logs."""
        raise NotImplementedError

    def measure(self, data) -> dict[str, Any]:
        """One batch of validation: return the logs."""
        raise NotImplementedError

    def train_step(self, *args) -> Any:
        return self._on_backend(self.learn, args)

    def test_step(self, *args) -> Any:
        result = self._on_backend(self.measure, args)
        if keras.backend.backend() == "tensorflow":
            return result
        logs, (trainable, non_trainable, _, metrics) = result
        return logs, (trainable, non_trainable, metrics)

    def _on_backend(self, step, args):
        if keras.backend.backend() == "tensorflow":
            return step(*args)
        if keras.backend.backend() != "jax":
            raise RuntimeError(f"Training needs KERAS_BACKEND tensorflow or jax. Received: {keras.backend.backend()!r}")
        state, data = args
        if len(state) == 3:  # of a test step, which has no optimizer
            state = (state[0], state[1], [], state[2])
        with keras.StatelessScope(state_mapping=list(_pairs(self._groups(), state))) as scope:
            logs = step(data)
        return logs, tuple([_current(scope, variable) for variable in group] for group in self._groups())

    def _groups(self):
        optimizer = self.optimizer.variables if self.optimizer else []
        return self.trainable_variables, self.non_trainable_variables, optimizer, self.metrics_variables

    def gradients(self, loss: Callable[[], tuple[Any, Any]], variables: Sequence) -> tuple[list, Any]:
        """Gradients of a loss, which is a mean over the images of a batch.

        Args:
            loss: Function () -> (scalar loss, anything else).
            variables: What to differentiate with respect to.

        Returns:
            The gradients, one a variable, and what the loss returned beside its value.
        """
        function = _gradients_tensorflow if keras.backend.backend() == "tensorflow" else _gradients_jax
        optimizer = self.optimizer.variables if self.optimizer else []
        return function(loss, list(variables), [*self.variables, *optimizer])


class AveragedModel(TwoBackendModel):
    """Trains a network, and keeps an exponential moving average of its weights in a copy.

    Args:
        network: A Keras model that is built, or builds itself by `build()`. The copy is made through `get_config`;
            without one, give `ema_decay=0`.
        ema_decay: Upper limit of the average's decay, in [0, 1); 0 keeps no average. The decay of step n is
            min(ema_decay, 1 - (1 + n)^(-2/3)), so that short runs are not averaged with their beginning.
        seed: Seed of what is drawn at random.

    Raises:
        ValueError: for a decay out of range, or a network that cannot be copied.
    """

    # Deviation: Keras's optimizers can average weights too, but with one decay, which favours the beginning of a run.

    def __init__(self, network: keras.Model, *, ema_decay: float, seed: int, **kwargs):
        super().__init__(dtype="float32", **kwargs)  # the network alone is in mixed precision
        if not 0 <= ema_decay < 1:
            raise ValueError(f"`ema_decay` must be in [0, 1). Received: {ema_decay}")
        self.network, self.ema_decay, self.seed = network, ema_decay, seed
        self.seeds = keras.random.SeedGenerator(seed)
        if not network.built:
            network.build()
        self.ema_network = copy_network(network, "ema") if ema_decay else network

    def update_ema(self, step: Tensor) -> None:
        """Move the average towards the weights, after optimizer step number `step`."""
        if not self.ema_decay:
            return
        decay = ops.minimum(self.ema_decay, 1.0 - (1.0 + ops.cast(step, "float32")) ** (-2.0 / 3.0))
        for average, weight in zip(self.ema_network.weights, self.network.weights):
            average.assign(decay * average + (1.0 - decay) * weight)

    def get_config(self) -> dict:
        network = keras.saving.serialize_keras_object(self.network)
        return {"name": self.name, "network": network, "ema_decay": self.ema_decay, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict) -> "AveragedModel":
        return cls(**{**config, "network": keras.saving.deserialize_keras_object(config["network"])})


def _gradients_tensorflow(loss, variables, _):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value, rest = loss()
        # Keras's optimizer sums the gradients of all replicas
        value = value / tf.distribute.get_strategy().num_replicas_in_sync
    return tape.gradient(value, [variable.value for variable in variables]), rest


def _gradients_jax(loss, variables, every_variable):
    import jax

    chosen = {id(variable) for variable in variables}
    # The optimizer's too: a loss may read its step, which would otherwise be a constant of the compiled graph
    others = [variable for variable in every_variable if id(variable) not in chosen]
    fixed = [(variable, variable.value) for variable in others]

    def function(values):
        with keras.StatelessScope(state_mapping=[*zip(variables, values), *fixed]) as scope:
            value, rest = loss()
        return value, (rest, [_current(scope, variable) for variable in others])

    gradients, (rest, updated) = jax.grad(function, has_aux=True)([variable.value for variable in variables])
    for variable, value in zip(others, updated):  # such as the random state
        variable.assign(value)
    return gradients, rest


def _pairs(groups, state):
    for variables, values in zip(groups, state):
        yield from zip(variables, values)


def _current(scope, variable):
    value = scope.get_current_value(variable)
    return variable.value if value is None else value


def copy_network(network: keras.Model, name: str) -> keras.Model:
    """A network of the same kind and weights, which no gradient changes.

    Raises:
        ValueError: if it cannot be copied.
    """
    try:
        if is_functional(network):
            copy = keras.models.clone_model(network)
        else:
            copy = type(network).from_config({**network.get_config(), "name": name})
            if not copy.built:
                copy.build()
        copy.set_weights(network.get_weights())
    except Exception as error:  # whatever a user's class may raise
        raise ValueError(
            f"`network` could not be copied as {name!r} ({type(error).__name__}). Give "
            f"{type(network).__name__} a get_config() that its constructor accepts and a build() without arguments, "
            "or train without an average: ema_decay=0"
        ) from error
    copy.trainable = False
    return copy
