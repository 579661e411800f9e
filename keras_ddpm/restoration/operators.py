"""What is left of an image: a measurement y = A x, linear in x, and a pseudo-inverse A+ that makes an image of it.

    A A+ A = A

A mask keeps pixels (A = A+ = the mask), a smaller picture has the averages of squares (A+ repeats them), a grey one the
means over the channels. Any other pair of functions of images (B, H, W, C) in [-1, 1] is an `Operator` too.

Reference: Wang et al. (DDNM), arXiv 2212.00490, section 3.2.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from keras import ops

from keras_ddpm.types import Tensor


class Operator(NamedTuple):
    """A linear measurement and its pseudo-inverse, written with `keras.ops`.

    Args:
        A: Function (B, H, W, C) -> y, with the batch first.
        A_pinv: Function y -> (B, H, W, C), with A A+ A = A.

    Example:
        >>> mirrored = Operator(lambda x: x[:, :, ::-1], lambda y: y[:, :, ::-1])
    """

    A: Callable[[Tensor], Tensor]
    A_pinv: Callable[[Tensor], Tensor]


def inpainting(known: Tensor) -> Operator:
    """The pixels that are known; the others are 0 in y.

    Args:
        known: float (B, H, W, 1): 1 where a pixel is known, 0 where it is missing.
    """
    return Operator(lambda x: known * x, lambda y: known * y)


@functools.cache
def super_resolution(scale: int) -> Operator:
    """The averages of squares of scale x scale pixels.

    Args:
        scale: Divides height and width.
    """

    def average(x):  # (B, H, W, C) -> (B, H / scale, W / scale, C)
        H, W, C = x.shape[1:]
        return ops.mean(ops.reshape(x, (-1, H // scale, scale, W // scale, scale, C)), axis=(2, 4))

    return Operator(average, lambda y: ops.repeat(ops.repeat(y, scale, axis=1), scale, axis=2))


@functools.cache
def colorization(channels: int = 3) -> Operator:
    """The mean over the channels, a grey image (B, H, W, 1).

    Args:
        channels: Channels of the coloured image.
    """
    return Operator(lambda x: ops.mean(x, axis=-1, keepdims=True), lambda y: ops.repeat(y, channels, axis=-1))
