"""keras-ddpm sample: digits into a PNG, a film of how they come about (GIF), or an .npz file."""

import contextlib
import dataclasses
import math
import pathlib
import sys
from typing import Any, Literal

import numpy as np
import tyro

from keras_ddpm import presets
from keras_ddpm.cli import quiet
from keras_ddpm.config import RESERVED

MAX_IMAGES = 100_000
MAX_PIXELS = 50_000_000
MAX_FILMS = 400  # images in a GIF
MAX_COLUMNS = 20  # unless asked for


@dataclasses.dataclass(frozen=True)
class Sample:
    """Draw digits into a PNG, a row for each digit, a GIF of the way there, or an .npz file for `evaluate --images`."""

    digits: tyro.conf.Positional[tuple[int, ...]] = ()
    """One digit or several, such as 7 or 0 1 2; of other data, classes."""
    w: float | None = None
    """Guidance: 0 ignores the digit, 1 is the conditional model, more is more typical. Default: the preset's."""
    n: int = 1
    """Images of each digit. At most 100,000 images in all."""
    out: pathlib.Path = pathlib.Path("digits.png")
    """A .png, a .gif from noise to the digits, or an .npz with `images` (uint8, N x H x W x C), `labels` and `seed`."""
    seed: int | None = None
    """Seed of the first image, 0 ... 2^63 - 1; the others follow. Default: fresh."""
    sampler: str | None = None
    """consistency, ddpm, ddim, dpm_solver_pp_2m or dpm_solver_pp_2m_sde. Default: the preset's."""
    steps: int | None = None
    """Steps of the sampler, from 1: more are slower and mostly better. Default: the preset's."""
    temperature: float | None = None
    """Above 1 a few-step model draws more varied images, below 1 more typical ones. Default: the preset's."""
    attributes: dict[str, float] = dataclasses.field(default_factory=dict)
    """What else a preset knows, name and number: --attributes thickness 0.8 slant -0.3. Default: left to the model."""
    preset: str | None = None
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training. Default: mnist_fast_v2, in one
    call; mnist with --w, --sampler, --steps or --guide, and for a GIF."""
    runtime: Literal["auto", "keras", "litert", "onnx", "openvino"] = "auto"
    """What calls the network. auto: the fastest that is installed and that the preset has a file for, else keras."""
    guide: Literal["clip"] | None = None
    """clip: move the images up the gradient of CLIP's score of their digit."""
    guide_scale: float | None = None
    """How far: 0 for not at all. Default: the preset's, 1."""
    best_of: int = 1
    """Candidates for each image, of which the judge chooses one."""
    judge: str = "classifier"
    """Who chooses the best of several: classifier or clip, which know MNIST, or a judge's folder (`judge --help`)."""
    scale: int = 2
    """Side of a pixel in the PNG."""
    columns: int | None = None
    """Images in a row of the PNG. Default: n, at most 20, and each digit begins a new row."""

    def run(self) -> None:
        self._check()
        from keras_ddpm.saving import files

        files.check_writable(self.out)
        self._check_page(presets.read_config(self._preset())[1])
        from keras_ddpm import api
        from keras_ddpm.checks.sampling import fresh_seeds
        from keras_ddpm.data import pictures

        digit = np.repeat(self.digits, self.n)
        first = int(fresh_seeds(())) % 2**32 if self.seed is None else self.seed
        seed = [first + i for i in range(digit.size)]  # Python integers: too large a seed is an error, no wrap
        if self.out.suffix.lower() == ".gif":
            pictures.write_gif(self.out, self._film(digit, seed))
            print(f"{self.out}: {in_words(first, digit.size)}")
            return
        runtime = self._chosen_runtime()
        loaded: dict[str, Any] = {"preset": self._preset(), "runtime": runtime}
        loaded |= {"sampler": self.sampler, "steps": self.steps, "temperature": self.temperature}
        settings: dict[str, Any] = {
            **loaded,
            "guide": self.guide,
            "guide_scale": self.guide_scale,
            "best_of": self.best_of,
            "judge": self.judge,
        }
        if runtime:
            with quiet.without_log_lines():
                api.load(**loaded)
        settings |= self.attributes
        with _progress(digit.size * self.best_of) as bar:
            images, drawn = api.sample(digit, self.w, seed=seed, progress=bar.update, return_seeds=True, **settings)
        images = images[..., None] if images.ndim == 3 else images
        if self.out.suffix.lower() == ".npz":
            pictures.write_npz(self.out, images=images, labels=digit, seed=drawn)
        else:
            pictures.write_png(self.out, self._page(images))
        several = f", each the best of {self.best_of} by the {self.judge}" if self.best_of > 1 else ""
        print(f"{self.out}: {in_words(first, digit.size)}{several}")

    def _preset(self) -> str:
        if self.preset is not None:
            return self.preset
        if self.out.suffix.lower() == ".gif":
            return presets.DEFAULT
        return presets.default_for(w=self.w, sampler=self.sampler, steps=self.steps, guide=self.guide)

    def _film(self, digit: np.ndarray, seed: list[int]) -> np.ndarray:
        """The pages of the film, the last of which is the PNG by the same preset."""
        from keras_ddpm import editing

        asked: dict[str, Any] = {"sampler": self.sampler, "steps": self.steps, "temperature": self.temperature}
        asked |= {"preset": self._preset(), **self.attributes}
        frames = editing.film(digit, self.w, seed=seed, **asked)  # (N, frames, H, W) or (N, frames, H, W, 3)
        frames = frames[..., None] if frames.ndim == 4 else frames
        return np.stack([self._page(frames[:, i]) for i in range(frames.shape[1])])

    def _chosen_runtime(self) -> str | None:
        """What `api.sample` has for `runtime`."""
        from keras_ddpm import runtimes

        if self.runtime == "auto" and self.guide:
            return None
        if self.runtime == "auto":
            return runtimes.usable(self._preset())
        return None if self.runtime == "keras" else self.runtime

    def _check(self) -> None:
        """What can be checked without the preset."""
        if not self.digits:
            raise ValueError("`digits` must be one digit or several. Received: none. Try: keras-ddpm sample 7")
        for name in ("n", "scale", "columns", "best_of"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}")
        options = sorted(RESERVED & set(self.attributes))
        if options:
            raise ValueError(f"`attributes` must name attributes of the preset. Received: {options[0]!r}")
        if self.n * self.best_of * len(self.digits) > MAX_IMAGES:
            most = MAX_IMAGES // (self.best_of * len(self.digits))
            raise ValueError(
                f"`n` must be at most {most}, for {MAX_IMAGES:,} images in all: call again "
                f"with another --seed for more. Received: {self.n}"
            )
        if self.out.suffix.lower() not in (".png", ".gif", ".npz"):
            raise ValueError(f"`out` must end in .png, .gif or .npz. Received: {str(self.out)!r}")
        if self.out.suffix.lower() == ".gif":
            self._check_film()

    def _check_film(self) -> None:
        count = self.n * len(self.digits)
        if count > MAX_FILMS:
            raise ValueError(f"A GIF holds at most {MAX_FILMS} images: lower `n`, or write a PNG. Received: {count}")
        if self.best_of > 1:
            raise ValueError(f"`best_of` must be 1 for a GIF. Received: {self.best_of}")
        if self.runtime not in ("auto", "keras"):
            raise ValueError(f"`runtime` must be keras for a GIF: the others keep no path. Received: {self.runtime!r}")

    def _check_page(self, image_shape: tuple[int, ...]) -> None:
        """A PNG that nothing can open is found before any work."""
        if self.out.suffix.lower() == ".npz":
            return
        columns, a_digit_a_row = self._layout()
        rows = math.ceil(self.n / columns) * len(self.digits) if a_digit_a_row else self.n * len(self.digits) / columns
        height, width = (math.ceil(count) * side * self.scale for count, side in zip((rows, columns), image_shape))
        if height * width > MAX_PIXELS:
            raise ValueError(
                f"A PNG must have at most {MAX_PIXELS // 10**6} million pixels: lower `scale`, `n` or `columns`, or "
                f"write an .npz. Received: {width} x {height} pixels"
            )

    def _layout(self) -> tuple[int, bool]:
        """Images in a row, and whether each digit begins a new one."""
        return (min(self.n, MAX_COLUMNS), True) if self.columns is None else (self.columns, False)

    def _page(self, images: np.ndarray) -> np.ndarray:
        from keras_ddpm.data import pictures

        columns, a_digit_a_row = self._layout()
        if a_digit_a_row:
            images = images.reshape(len(self.digits), self.n, *images.shape[1:])
            blank = ((0, 0), (0, -self.n % columns), (0, 0), (0, 0), (0, 0))
            images = np.pad(images, blank, constant_values=255).reshape(-1, *images.shape[2:])
        return pictures.grid(images, columns=columns, scale=self.scale)


def in_words(first: int, count: int) -> str:
    """How many images were drawn, and from which seeds."""
    return f"1 image, seed {first}" if count == 1 else f"{count} images, seeds {first} to {first + count - 1}"


def _progress(total: int) -> Any:
    """A bar for many images on a terminal; tqdm is imported for it alone."""
    if total < 256 or not sys.stderr.isatty():
        return contextlib.nullcontext(_NoBar)
    from tqdm import tqdm

    return tqdm(total=total, unit="image")


class _NoBar:
    update = None
