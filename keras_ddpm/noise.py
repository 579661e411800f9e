"""Noise as a function: image i's noise depends on its own seed and on nothing else.

A counter-based generator (Threefry-2x32, 20 rounds) turns (seed, step, pixel) into bits, and Box-Muller turns bits into
normal numbers. There is no state, no order of drawing and no batch in it, and integer arithmetic is the same with
TensorFlow, JAX, XLA or NumPy. So a seed draws its picture again anywhere. Each function takes the operations to compute
with as its `ops`: `keras.ops`, imported when it is first called, or `runtimes.numpy_ops`.

    z_0, z_1 = sqrt(-2 ln u_1) (cos 2 pi u_2, sin 2 pi u_2)

Deviation: `keras.random` draws a whole batch from one seed, and differently with each backend; a server that merges
requests needs one seed a row.

Reference: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (doi 10.1145/2063384.2063405).
"""

import math
from typing import Any

import numpy as np

from keras_ddpm.types import Tensor

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def split_seed(seed: Tensor) -> np.ndarray:
    """Integers in 0 ... 2^63 - 1 (N,) -> uint32 keys (N, 2): high and low half."""
    seed = np.asarray(seed, dtype="uint64")
    return np.stack([seed >> np.uint64(32), seed & np.uint64(0xFFFFFFFF)], axis=-1).astype("uint32")


def threefry_2x32(key: Tensor, counter: Tensor, *, ops: Any = None) -> tuple[Tensor, Tensor]:
    """Two blocks of 32 random bits for each key and counter.

    Args:
        key: Pair of uint32 tensors.
        counter: Pair of uint32 tensors that broadcast with the keys.
        ops: `runtimes.numpy_ops`, or None for `keras.ops`.

    Returns:
        Pair of uint32 tensors.
    """
    ops = ops or _keras_ops()
    keys = (*key, ops.bitwise_xor(ops.bitwise_xor(*key), _uint32(PARITY, ops)))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for i in range(5):
        for rotation in ROTATIONS[i % 2]:
            x = x + y
            y = ops.bitwise_xor(_rotate(y, rotation, ops), x)
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + _uint32(i + 1, ops)
    return x, y


def normal(key: Tensor, step: Tensor, shape, *, ops: Any = None) -> Tensor:
    """Standard normal noise for each row of a batch.

    Args:
        key: uint32 (B, 2), see `split_seed`.
        step: Which of a row's noises, an integer () >= 0: 0 is x_T, k that of the k-th step.
        shape: Shape of one image.
        ops: See `threefry_2x32`.

    Returns:
        float32 (B, *shape).
    """
    ops = ops or _keras_ops()
    size = math.prod(shape)
    pixel = _uint32(np.arange((size + 1) // 2), ops)[None]  # (1, pairs)
    number = ops.cast(step, "uint32") + ops.zeros_like(pixel)  # (1, pairs)
    high, low = (ops.cast(half, "uint32") for half in ops.split(key, 2, axis=1))  # (B, 1)
    x, y = threefry_2x32((high, low), (pixel, number), ops=ops)  # (B, pairs)
    radius = ops.sqrt(-2.0 * ops.log(1.0 - _unit(x, ops)))
    angle = (2.0 * math.pi) * _unit(y, ops)
    z = ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=-1)[:, :size]
    return ops.reshape(z, (-1, *shape))


def _keras_ops():
    from keras import ops

    return ops


def _rotate(x, bits, ops):
    left = ops.bitwise_left_shift(x, _uint32(bits, ops))
    return ops.bitwise_or(left, ops.bitwise_right_shift(x, _uint32(32 - bits, ops)))


def _unit(x, ops):
    """32 random bits -> float32 in [0, 1), a multiple of 2^-24."""
    return ops.cast(ops.bitwise_right_shift(x, _uint32(8, ops)), "float32") * 2.0**-24


def _uint32(value, ops):
    return ops.convert_to_tensor(np.asarray(value, dtype="uint32"))
