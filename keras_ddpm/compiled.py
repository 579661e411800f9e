"""A function of tensors as one compiled graph, by the backend in use."""

from collections.abc import Callable

import keras


def compiled(function: Callable, *, model: keras.Model | None = None, xla: bool = False) -> Callable:
    """The function, compiled when it is first called: a graph for all batch sizes on TensorFlow, one for each on JAX.

    Args:
        function: Of tensors, and of structures of them.
        model: Whose weights the function reads. Every call sees them as they are then; JAX would keep the first ones.
        xla: Whether XLA compiles TensorFlow's graph, which then serves one batch size only. (JAX always has it.)

    Raises:
        RuntimeError: for another backend.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _compiled_by_jax(function, model.variables if model else [])
    if backend != "tensorflow":
        raise RuntimeError(f"This needs KERAS_BACKEND tensorflow or jax. Received: {backend!r}")
    import tensorflow as tf

    return tf.function(function, reduce_retracing=not xla, jit_compile=True if xla else None)


def _compiled_by_jax(function, variables):
    import jax

    @jax.jit
    def run(values, *inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, values))):
            return function(*inputs)

    return lambda *inputs: run([variable.value for variable in variables], *inputs)
