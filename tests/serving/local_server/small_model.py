"""A SavedModel of a few operations with the signatures of the real one: what the local server's own tests serve.

`image` is digit * 25, `slow` counts up to `seed` first (some 10^5 a second), `pair` has two outputs.
"""

import json

import numpy as np
import tensorflow as tf

METADATA = {"name": "small", "allowed_batch_sizes": [1, 2, 4, 8], "max_batch": 8}
COLUMNS = (("digit", tf.int32), ("w", tf.float32), ("seed", tf.int64))


def request_arrays(digits, w=2.0, seed=0):
    """The three inputs for some digits."""
    N = len(digits)
    return {
        "digit": np.asarray(digits, "int32"),
        "w": np.full(N, w, "float32"),
        "seed": np.full(N, seed, "int64"),
    }


def write_model(folder, *, gain=25):
    """Write the SavedModel.

    Args:
        folder: Numbered folder to make.
        gain: `image` is digit * gain.
    """
    model = tf.Module()
    functions = {"sample": _sample, "slow": _slow, "pair": _pair, "sample_png": _png}
    specs = [tf.TensorSpec([None], dtype, name) for name, dtype in COLUMNS]
    signatures = {name: _concrete(function, gain, specs) for name, function in functions.items()}
    signatures["serving_default"] = signatures["sample"]
    signatures["metadata"] = _concrete(_metadata, gain, specs[:1])
    x = tf.TensorSpec([None, 2], tf.float32, "x")
    signatures["double"] = tf.function(lambda x: {"y": 2.0 * x}, input_signature=[x]).get_concrete_function()
    tf.saved_model.save(model, str(folder), signatures=signatures)


def _concrete(function, gain, specs):
    return tf.function(lambda *inputs: function(gain, *inputs), input_signature=specs).get_concrete_function()


def _checked(digit, w, seed):
    N = tf.shape(digit)[0]
    checks = [
        tf.debugging.assert_greater(N, 0, "`digit` must hold at least one"),
        tf.debugging.assert_less_equal(N, 8, "`digit` must hold at most 8"),
        tf.debugging.assert_equal(tf.shape(w)[0], N, "`w` must be as long as `digit`"),
        tf.debugging.assert_equal(tf.shape(seed)[0], N, "`seed` must be as long as `digit`"),
        tf.debugging.assert_less(digit, 10, "`digit` must be in 0..9"),
        tf.debugging.assert_greater_equal(digit, 0, "`digit` must be in 0..9"),
        tf.debugging.assert_equal(tf.math.is_finite(w), True, "`w` must be finite"),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(digit)


def _sample(gain, digit, w, seed):
    grey = tf.cast(_checked(digit, w, seed) * gain, tf.uint8)
    return {"image": tf.tile(grey[:, None, None, None], [1, 28, 28, 1])}


def _slow(gain, digit, w, seed):
    digit = _checked(digit, w, seed)
    last = tf.reduce_max(seed)
    count = tf.while_loop(lambda i: i < last, lambda i: i + 1, [tf.zeros([], tf.int64)])[0]
    with tf.control_dependencies([count]):
        return {"digit": tf.identity(digit)}


def _pair(gain, digit, w, seed):
    digit = _checked(digit, w, seed)
    return {"eps": tf.cast(digit, tf.float32)[:, None] * [1.0, float("nan")], "w": tf.identity(w)}


def _png(gain, digit, w, seed):
    images = _sample(gain, digit, w, seed)["image"]
    return {"image_bytes": tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)}


def _metadata(gain, digit):
    return {"metadata": tf.fill(tf.shape(digit), json.dumps({**METADATA, "gain": gain}))}
