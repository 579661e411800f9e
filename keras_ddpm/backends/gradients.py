"""The gradient of a function of images, with TensorFlow or JAX."""

from collections.abc import Callable

import keras

from keras_ddpm.types import Tensor


def input_gradient(function: Callable, x) -> Tensor:
    """The gradient of a function of images with respect to them; it can be differentiated again.

    Args:
        function: x (B, ...) -> (values (B,), each of its own image; anything else).
        x: The images.

    Returns:
        The gradient (B, ...), the values, and what the function returned beside them.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            values, rest = function(x)
        return tape.gradient(values, x), values, rest
    import jax

    def summed(x):
        values, rest = function(x)
        return values.sum(), (values, rest)

    gradient, (values, rest) = jax.grad(summed, has_aux=True)(x)
    return gradient, values, rest
