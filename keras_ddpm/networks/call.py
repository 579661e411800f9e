"""How a network is called, whichever way it was made with Keras, and in how many parts of a batch."""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import keras
from keras import ops

from keras_ddpm.types import Tensor

PARTS = ContextVar("PARTS", default=1)


def is_functional(network: keras.Model) -> bool:
    """Whether a model was made from inputs and outputs, and so takes one structure of inputs."""
    return bool(getattr(network, "inputs", None))


@contextlib.contextmanager
def in_parts(parts: int) -> Iterator[None]:
    """Within it, `predict` calls a network once for each part of a batch; the parts are as equal as possible.

    A network treats each image alone, so without dropout the results are the same up to rounding. The calls do not
    depend on each other, and TensorFlow runs them, and their gradients, side by side.
    """
    before = PARTS.set(parts)
    try:
        yield
    finally:
        PARTS.reset(before)


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
    parts, B = PARTS.get(), ops.shape(x_t)[0]
    if isinstance(B, int):  # in a graph it may be unknown
        parts = min(parts, B)
    if parts == 0:
        return x_t  # no rows, which a convolution need not understand
    if parts == 1:
        return _call(network, x_t, t, condition, training)
    filled = ops.arange(ops.maximum(B, parts)) % B  # no part is empty, which a network need not understand
    total = ops.shape(filled)[0]
    each = []
    for i in range(parts):
        rows = filled[total * i // parts : total * (i + 1) // parts]
        part = {name: ops.take(c, rows, axis=0) for name, c in condition.items()}
        each.append(_call(network, ops.take(x_t, rows, axis=0), ops.take(t, rows, axis=0), part, training))
    return ops.concatenate(each, axis=0)[:B]


def _call(network, x_t, t, condition, training):
    if is_functional(network):
        return network({"x_t": x_t, "t": t, **condition}, training=training)
    return network(x_t, t, condition, training=training)
