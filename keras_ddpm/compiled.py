"""A function of tensors as one compiled graph, by the backend in use."""

from collections.abc import Callable

import keras


def compiled(function: Callable, *, xla: bool = False) -> Callable:
    """The function, compiled when it is first called: a graph for all batch sizes on TensorFlow, one for each on JAX.

    Args:
        function: Of tensors, and of structures of them.
        xla: Whether XLA compiles TensorFlow's graph, which then serves one batch size only. (JAX always has it.)

    Raises:
        RuntimeError: for another backend.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend != "tensorflow":
        raise RuntimeError(f"This needs KERAS_BACKEND tensorflow or jax. Received: {backend!r}")
    import tensorflow as tf

    return tf.function(function, reduce_retracing=not xla, jit_compile=True if xla else None)
