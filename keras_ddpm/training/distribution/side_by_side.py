"""A batch in parts, each computed on one CPU core by TensorFlow.

Otherwise all cores share each operation and wait for each other at its end. The network alone is computed in parts
(`networks.call.in_parts`): draws, loss, optimizer and average see the whole batch, so a run may be resumed with another
number of parts.
"""

import keras


def claim_cores(parts: int) -> None:
    """Have TensorFlow give each operation one core from now on, and compute `parts` of them at once.

    Args:
        parts: Parts of a batch; with 1 everything stays as it is.

    Raises:
        ValueError: on another backend than TensorFlow, or if this process has computed with it already.
    """
    if parts == 1:
        return
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`parts` are for TensorFlow: with KERAS_BACKEND=jax use `devices`. "
            f"Received: {parts} on {keras.backend.backend()!r}"
        )
    import tensorflow as tf

    threads = tf.config.threading
    if (threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads()) == (1, parts):
        return
    try:
        threads.set_intra_op_parallelism_threads(1)
        threads.set_inter_op_parallelism_threads(parts)
    except RuntimeError as error:
        raise ValueError(
            f"`parts` must be set before anything is computed with TensorFlow in this process. Received: {parts}"
        ) from error
