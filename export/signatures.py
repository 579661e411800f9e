"""The signatures of the SavedModel: what a server answers.

    sample, sample_png   (digit, w, seed, attributes) -> images
    trajectory           (digit, w, seed, attributes) -> every k-th x_t
    denoise              (x_t, t, digit, w, attributes) -> eps, x_0: one guided call of the network, t = 0 ... T - 1
    restore              (image, mask, digit, w, seed) -> images: what the mask leaves, and the rest drawn anew; not of
                         a model of latents
    metadata             (digit) -> the settings of the export, as JSON

Every input and output has the batch first, so that a server can merge requests. The loop is one `while` of the graph,
with guidance in one batch of 2B; each step's noise is drawn in it, from each row's seed. Times are the paper's indices,
-1 for the clean image. A model with attributes has an input float32 (N,) for each, NaN where it is not given; `restore`
leaves them to the model. A mask is 1 where a pixel is missing; a digit of -1 is unknown to `restore`, which then
ignores w. Bad input is refused by the graph, before any work.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ddpm.conditions import Scalar
from keras_ddpm.data import to_uint8
from keras_ddpm.generator import Generator
from keras_ddpm.restoration import operators, projection

ALLOWED_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
MAX_BATCH = ALLOWED_BATCH_SIZES[-1]

DIGIT, W, SEED = (
    tf.TensorSpec([None], dtype, name) for name, dtype in (("digit", "int32"), ("w", "float32"), ("seed", "int64"))
)
T = tf.TensorSpec([None], "int32", "t")


def build(generator: Generator, *, metadata: Mapping[str, Any]) -> dict[str, tuple[Callable, list]]:
    """The functions of a SavedModel.

    Args:
        generator: `Generator` of a network in float32.
        metadata: dict of what the `metadata` signature returns; `every` (the k of the trajectory), `guidance`, `w`,
            `T`, `restore` (its steps and repeats) and `xla` are read here too.

    Returns:
        dict of name -> (function, its `tf.TensorSpec`s). Functions take what the specs name and return a dict.
    """
    network, diffusion = generator.network, generator.diffusion
    request = [DIGIT, W, SEED]
    attributes = {name: kind for name, kind in network.conditions.items() if name != "label"}
    told = [tf.TensorSpec([None], kind.dtype, name) for name, kind in attributes.items()]
    x_t = tf.TensorSpec([None, *network.image_shape], "float32", "x_t")
    image = tf.TensorSpec([None, *generator.image_shape], "uint8", "image")
    mask = tf.TensorSpec([None, *generator.image_shape[:2]], "uint8", "mask")
    baked = metadata["w"] if metadata["guidance"] == "none" else None
    checked = functools.partial(check, num_classes=network.num_classes, attributes=attributes, w=baked)

    def whole(run):
        return tf.function(run, jit_compile=True) if metadata["xla"] else run

    def draw(digit, w, seed, *values, path=False):
        given = checked({"digit": digit, "w": w, "seed": seed, **dict(zip(attributes, values))})
        digit, w, seed = (given.pop(name) for name in ("digit", "w", "seed"))
        return whole(functools.partial(generator.draw, path=path))({"label": digit, **given}, w, key_of(seed))

    def sample(digit, w, seed, *values):
        return {"image": to_uint8(draw(digit, w, seed, *values))}

    def sample_png(digit, w, seed, *values):
        images = sample(digit, w, seed, *values)["image"]
        return {"image_bytes": tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)}

    def trajectory(digit, w, seed, *values):
        x_T, x_s, _ = draw(digit, w, seed, *values, path=True)  # (S, N, H, W, C) each but x_T
        places, times = generator.kept(metadata["every"])
        states = tf.gather(tf.concat([x_T[None], x_s], axis=0), places, axis=0)  # (K, N, h, w, c)
        decoded = generator.codec.decode(tf.reshape(states, [-1, *network.image_shape]))  # (K N, H, W, C)
        states = tf.reshape(decoded, [len(places), -1, *generator.image_shape])
        index = tf.constant(np.round(times * metadata["T"]) - 1, "int32")
        return {"x_t": keras.ops.swapaxes(states, 0, 1), "t": tf.repeat(index[None], tf.shape(digit)[0], axis=0)}

    def denoise(x_t, t, digit, w, *values):
        given = {"x_t": x_t, "t": t, "digit": digit, "w": w, **dict(zip(attributes, values))}
        given = checked(given, T=metadata["T"])
        x_t, t, digit, w = (given.pop(name) for name in ("x_t", "t", "digit", "w"))
        t = (tf.cast(t, "float32") + 1.0) / metadata["T"]
        x_0 = generator.denoiser({"label": digit, **given}, w)(x_t, t)
        return {"eps": diffusion.eps(x_0, x_t, t), "x_0": x_0}

    def restore(image, mask, digit, w, seed):
        given = {"image": image, "mask": mask, "digit": digit, "w": w, "seed": seed}
        image, mask, digit, w, seed = checked(given, unknown=True).values()
        unknown, times = digit < 0, projection.times_of(diffusion.schedule, **metadata["restore"])

        def run(image, mask, digit, w, key):
            operator = operators.inpainting(1.0 - tf.cast(mask, "float32")[..., None])
            rest = {"operator": operator, "y": tf.cast(image, "float32") / 127.5 - 1.0, "noise": tf.zeros_like(w)}
            return projection.draw(generator, {"label": digit}, w, key, **rest, times=times)

        digit, w = tf.where(unknown, generator.nulls["label"], digit), tf.where(unknown, 1.0, w)
        return {"image": to_uint8(whole(run)(image, mask, digit, w, key_of(seed)))}

    def describe(digit):
        digit = checked({"digit": digit})["digit"]  # a small message can claim a million rows
        return {"metadata": tf.repeat(json.dumps(metadata), tf.shape(digit)[0])}

    return {
        "sample": (sample, [*request, *told]),
        "sample_png": (sample_png, [*request, *told]),
        "trajectory": (trajectory, [*request, *told]),
        "denoise": (denoise, [x_t, T, DIGIT, W, *told]),
        **({"restore": (restore, [image, mask, *request])} if "restore" in metadata else {}),
        "metadata": (describe, [DIGIT]),
    }


def check(
    inputs: Any, *, num_classes, attributes: Mapping[str, Scalar] | None = None, T=None, w=None, unknown=False
) -> dict[str, tf.Tensor]:
    """Refuse bad input in the graph: InvalidArgumentError with one sentence.

    Args:
        inputs: dict of tensors (N, ...), named as in the signatures.
        num_classes: Number of classes.
        attributes: What the model may be told beside the class.
        T: Number of noise levels, if `t` is among them.
        w: The only guidance there is, of a model into which it is baked.
        unknown: Whether a digit may be -1.

    Returns:
        The same dict; whatever uses its tensors runs after the checks.
    """
    rows = {name: tf.shape(value)[0] for name, value in inputs.items()}
    N = rows["digit"]
    least = -1 if unknown else 0
    laws = {
        "digit": (f"must be in {least}..{num_classes - 1}", lambda digit: (digit >= least) & (digit < num_classes)),
        "image": ("must be uint8", lambda image: tf.ones_like(image, tf.bool)),
        "mask": ("must be 0, or 1 where a pixel is missing", lambda mask: mask <= 1),
        "w": ("must be finite", tf.math.is_finite)
        if w is None
        else (f"must be {w:g}, which is baked into this model", lambda given: given == w),
        "seed": ("must be in 0..2^63 - 1", lambda seed: seed >= 0),
        "x_t": ("must be finite", tf.math.is_finite),
        "t": (f"must be in 0..{T and T - 1}", lambda t: (t >= 0) & (t < T)),
        **{name: _law_of(kind) for name, kind in (attributes or {}).items()},
    }
    asserts = [
        tf.debugging.Assert((N >= 1) & (N <= MAX_BATCH), [f"a request must have 1..{MAX_BATCH} rows, this one:", N]),
        *(
            tf.debugging.Assert(n == N, [f"`{name}` must have as many rows as `digit`, {name}:", n, "digit:", N])
            for name, n in rows.items()
        ),
    ]
    for name, value in inputs.items():
        law, holds = laws[name]
        fine = holds(value)
        wrong = tf.boolean_mask(value, tf.logical_not(fine))
        asserts.append(tf.debugging.Assert(tf.reduce_all(fine), [f"`{name}` {law}, this one has:", wrong[:1]]))
    if "mask" in inputs:
        share = tf.reduce_mean(tf.cast(inputs["mask"] > 0, "float32"), axis=(1, 2))
        fine = tf.reduce_all((share > 0) & (share < 1))
        asserts.append(
            tf.debugging.Assert(fine, ["`mask` must leave some pixels known and some missing. Missing:", share])
        )
    with tf.control_dependencies(asserts):
        return {name: tf.identity(value) for name, value in inputs.items()}


def _law_of(kind):
    """What an attribute must be, and whether it is."""
    words = f"must be in {kind.low:g}..{kind.high:g}, or NaN if it is not given"
    return words, lambda value: tf.math.is_nan(value) | (value >= kind.low) & (value <= kind.high)


def key_of(seed: tf.Tensor) -> tf.Tensor:
    """int64 (N,) -> uint32 (N, 2): `noise.split_seed` in the graph."""
    high, low = tf.bitwise.right_shift(seed, 32), tf.bitwise.bitwise_and(seed, 0xFFFFFFFF)
    return tf.stack([tf.cast(high, tf.uint32), tf.cast(low, tf.uint32)], axis=-1)
