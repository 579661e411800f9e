"""Names for types that many modules share."""

from collections.abc import Callable
from typing import Any

Tensor = Any
"""An array, or a tensor of the backend in use."""

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""A function (x_t (B, H, W, C), t () or (B,)) -> x_0 estimate (B, H, W, C)."""
