"""How a network is called, whichever way it was made with Keras."""

from collections.abc import Mapping

import keras

from keras_ddpm.types import Tensor


def is_functional(network: keras.Model) -> bool:
    """Whether a model was made from inputs and outputs, and so takes one structure of inputs."""
    return bool(getattr(network, "inputs", None))


def predict(
    network: keras.Model, x_t: Tensor, t: Tensor, condition: Mapping[str, Tensor], *, training: bool | None = None
) -> Tensor:
    """The network's prediction y.

    A subclass is called as (x_t, t, condition). A functional model is called with one dict, whose names are those of
    its inputs: "x_t", "t" and one for each entry of the condition.

    Args:
        network: A Keras model of either kind.
        x_t: (B, H, W, C).
        t: float (B,), in (0, 1].
        condition: dict of tensors (B,).
        training: Keras's flag.

    Returns:
        (B, H, W, C).
    """
    if is_functional(network):
        return network({"x_t": x_t, "t": t, **condition}, training=training)
    return network(x_t, t, condition, training=training)
