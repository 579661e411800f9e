"""A function of tensors as one compiled graph, by the backend in use, and how it is called for many rows."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np


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


def in_batches(function: Callable, inputs: Mapping[str, np.ndarray], size: int, *, progress: Any = None) -> Any:
    """Call a function of batches for any number of rows.

    JAX compiles for each shape, so batches are filled up to a power of two there.

    Args:
        function: Takes a dict of arrays (B, ...), returns a structure of arrays with as many rows.
        inputs: dict of arrays, all of N rows.
        size: Largest B.
        progress: Called with the number of rows after each batch; None for nothing.

    Returns:
        What the function returns, as NumPy arrays of N rows.
    """
    parts = []
    for start in range(0, len(next(iter(inputs.values()))), size):
        batch = {name: value[start : start + size] for name, value in inputs.items()}
        n = len(next(iter(batch.values())))
        if keras.backend.backend() == "jax":
            full = 1 << (n - 1).bit_length()
            batch = {name: np.resize(value, (full, *value.shape[1:])) for name, value in batch.items()}
        parts.append(keras.tree.map_structure(lambda a: np.asarray(a)[:n], function(batch)))  # noqa: B023
        if progress:
            progress(n)
    return keras.tree.map_structure(lambda *p: np.concatenate(p), *parts)


def _compiled_by_jax(function, variables):
    import jax

    @jax.jit
    def run(values, *inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, values))):
            return function(*inputs)

    return lambda *inputs: run([variable.value for variable in variables], *inputs)
