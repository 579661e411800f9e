"""What draws for the page: this process, or TensorFlow Serving through a client that is handed in."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class Source(Protocol):
    """What the page asks for, in this process or of a server."""

    presets: list[str]
    """Names to choose from, the first by default."""
    at_once: int
    """Drawings at the same time; further ones wait."""
    failures: tuple[type[Exception], ...]
    """Errors that a sentence to the user is enough for."""

    def num_classes(self, preset: str) -> int:
        """Number of classes of a preset."""
        ...

    def attributes(self, preset: str) -> dict[str, tuple[float, float]]:
        """What a preset can be asked for beside the digit: the range of each attribute."""
        ...

    def sample(
        self, preset: str, digit: Any, w: float | None, seed: Any, steps: int | None, **attributes: float
    ) -> np.ndarray:
        """Images, uint8 (N, H, W, C)."""
        ...

    def film(
        self, preset: str, digit: int, w: float | None, seed: int, steps: int | None, **attributes: float
    ) -> np.ndarray:
        """States from noise to image, uint8 (K, H, W, C)."""
        ...

    def restore(self, preset: str, image: np.ndarray, mask: np.ndarray, digit: int | None, seed: Any) -> np.ndarray:
        """Images uint8 (N, H, W) that agree with `image` (H, W) where `mask` (H, W) is False; (..., 3) in colour."""
        ...


class Local:
    """This process draws, with shipped presets or folders.

    Args:
        presets: Names or folders.
    """

    at_once = 1  # the cores are shared, and each drawing uses all of them
    failures = (ValueError, OSError)

    def __init__(self, presets: list[str]):
        from keras_ddpm.presets import read_config

        for preset in presets:
            read_config(preset)  # an error before the page opens
        self.presets = presets

    def num_classes(self, preset: str) -> int:
        from keras_ddpm.presets import read_config

        return read_config(preset)[2]

    def attributes(self, preset: str) -> dict[str, tuple[float, float]]:
        from keras_ddpm.data.attributes import ranges
        from keras_ddpm.presets import read_config

        return ranges(read_config(preset)[0].data.attributes)

    def sample(
        self, preset: str, digit: Any, w: float | None, seed: Any, steps: int | None, **attributes: float
    ) -> np.ndarray:
        from keras_ddpm import api, runtimes

        asked: dict[str, Any] = {"seed": seed, "steps": steps, "preset": preset, **attributes}
        return _with_channels(api.sample(digit, w, runtime=runtimes.usable(preset), **asked))

    def film(
        self, preset: str, digit: int, w: float | None, seed: int, steps: int | None, **attributes: float
    ) -> np.ndarray:
        import keras_ddpm

        return _with_channels(keras_ddpm.film(digit, w, seed=seed, steps=steps, preset=preset, **attributes))

    def restore(self, preset: str, image: np.ndarray, mask: np.ndarray, digit: int | None, seed: Any) -> np.ndarray:
        import keras_ddpm

        return keras_ddpm.restore(image, mask=mask, digit=digit, seed=seed, preset=preset)


class Remote:
    """A server draws.

    Args:
        clients: A `serving.client.Client` for each model.
        failures: The client's errors.
    """

    at_once = 8  # a server merges what comes together

    def __init__(self, clients: Mapping[str, Any], failures: tuple[type[Exception], ...]):
        self.clients, self.presets, self.failures = clients, list(clients), (ValueError, *failures)

    def num_classes(self, preset: str) -> int:
        return self.clients[preset].metadata()["num_classes"]

    def attributes(self, preset: str) -> dict[str, tuple[float, float]]:
        return {name: tuple(ends) for name, ends in self.clients[preset].metadata().get("attributes", {}).items()}

    def sample(
        self, preset: str, digit: Any, w: float | None, seed: Any, steps: int | None, **attributes: float
    ) -> np.ndarray:
        _check_no_steps(steps)
        return _with_channels(self.clients[preset].sample(digit, w, seed=seed, **attributes).images)

    def film(
        self, preset: str, digit: int, w: float | None, seed: int, steps: int | None, **attributes: float
    ) -> np.ndarray:
        _check_no_steps(steps)
        from keras_ddpm.data.pixels import to_uint8

        return to_uint8(self.clients[preset].trajectory(digit, w, seed=seed, **attributes).x_t[0])

    def restore(self, preset: str, image: np.ndarray, mask: np.ndarray, digit: int | None, seed: Any) -> np.ndarray:
        return self.clients[preset].restore(image, mask=mask, digit=digit, seed=seed).images


def _with_channels(images):
    """(N, H, W) or (N, H, W, C) -> (N, H, W, C)."""
    return images[..., None] if images.ndim == 3 else images


def _check_no_steps(steps):
    if steps is not None:
        raise ValueError(f"`steps` must be left empty: they are part of a server's model. Received: {steps}")
