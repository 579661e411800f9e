"""What a client hands back: arrays, with the seeds that draw them again, and pictures for people."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import invalid
from .signature import TensorSpec

if TYPE_CHECKING:
    from PIL import Image


def diffused_shape(model: Mapping[str, Any]) -> tuple[int, ...]:
    """(H, W, C) of what a model diffuses, by its metadata: images, or an autoencoder's latents."""
    return tuple(model.get("latent_shape", model["image_shape"]))


def output_specs(signature: str, model: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """What the client promises of a signature's outputs, by the model's metadata, whatever the server says it gives."""
    h, w, c = model["image_shape"]
    states = TensorSpec("float32", (None, None, h, w, c))
    diffused = TensorSpec("float32", (None, *diffused_shape(model)))
    return {
        "sample": {"image": TensorSpec("uint8", (None, h, w, c))},
        "restore": {"image": TensorSpec("uint8", (None, h, w, c))},
        "sample_png": {"image_bytes": TensorSpec("string", (None,))},
        "trajectory": {"x_t": states, "t": TensorSpec("int32", (None, None))},
        "denoise": {"eps": diffused, "x_0": diffused},
    }[signature]


class Drawn(NamedTuple):
    """Images and the seeds they came from: `images, seeds = client.sample(7)`."""

    images: np.ndarray  # uint8 (N, H, W), or (N, H, W, 3) in colour
    seeds: np.ndarray  # int64 (N,)

    @classmethod
    def of(cls, images: np.ndarray, seeds: np.ndarray) -> "Drawn":
        """From images (N, H, W, C); the axis of a single channel goes."""
        return cls(images[..., 0] if images.shape[-1] == 1 else images, seeds)

    def pil(self) -> "list[Image.Image]":
        """The N images of Pillow."""
        from PIL import Image

        return [Image.fromarray(image) for image in self.images]

    def grid(self, *, columns: int | None = None, scale: int = 1, gap: int = 2) -> "Image.Image":
        """All images on one white page, row after row.

        Args:
            columns: Images in a row; None: about as many as rows.
            scale: Each pixel becomes scale x scale pixels.
            gap: White pixels between images.

        Raises:
            InvalidRequest: if `columns` or `scale` is below 1, or `gap` below 0.
        """
        from PIL import Image

        columns = math.ceil(math.sqrt(len(self.images))) if columns is None else columns
        for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
            if value < least:
                raise invalid(name, f"at least {least}", value)
        tiles = self.images.repeat(scale, axis=1).repeat(scale, axis=2)
        n, h, w, *channels = tiles.shape
        margins = [(0, -n % columns), (0, gap), (0, gap), *[(0, 0)] * len(channels)]
        tiles = np.pad(tiles, margins, constant_values=255)
        page = tiles.reshape(-1, columns, h + gap, w + gap, *channels).swapaxes(1, 2)
        page = page.reshape(-1, columns * (w + gap), *channels)  # (rows x (H + gap), columns x (W + gap))
        return Image.fromarray(page[: len(page) - gap, : page.shape[1] - gap])


class Encoded(NamedTuple):
    """PNG files and the seeds they came from."""

    png: list[bytes]  # N files
    seeds: np.ndarray  # int64 (N,)


class Trajectory(NamedTuple):
    """The way from noise to images, and the seeds it came from."""

    x_t: np.ndarray  # float32 (N, K, H, W, C), the states
    t: np.ndarray  # int32 (N, K), their times, from T - 1 down to -1 (clean)
    seeds: np.ndarray  # int64 (N,)


class Denoised(NamedTuple):
    """The result of one guided network call."""

    eps: np.ndarray  # float32 (N, H, W, C), the noise in x_t
    x_0: np.ndarray  # float32 (N, H, W, C), the clean image; of a model of latents, its latents
