"""keras-ddpm restore: what is missing of a picture, drawn anew."""

import dataclasses
import pathlib

import numpy as np
import tyro

from keras_ddpm import presets

MAX_IMAGES = 1_000


@dataclasses.dataclass(frozen=True)
class Restore:
    """Draw what is missing of a picture: restore photo.png --mask mask.png, or enlarge a small one: --scale 2."""

    image: tyro.conf.Positional[pathlib.Path]
    """The picture, white on black as MNIST is, of the preset's size; with --scale so many times smaller."""
    mask: pathlib.Path | None = None
    """A picture of the same size: white (255) where a pixel is missing, black (0) where it is known."""
    scale: int | None = None
    """How many times smaller the picture is: 2, 4, 7 or 14 for 28 pixels."""
    digit: int | None = None
    """What it shows. Default: unknown."""
    w: float | None = None
    """Guidance towards the digit. Default: the preset's."""
    n: int = 1
    """Restorations, side by side."""
    seed: int | None = None
    """Seed of the first, 0 ... 2^63 - 1; the others follow. Default: fresh."""
    noise: float = 0.0
    """Standard deviation of the picture's noise, in grey levels of 0 ... 255."""
    steps: int | None = None
    """Noise levels to visit. Default: 10."""
    repeats: int | None = None
    """How often to visit each. Default: 4, or 1 for a model of few steps."""
    preset: str = presets.DEFAULT
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training."""
    out: pathlib.Path = pathlib.Path("restored.png")
    """A .png."""
    zoom: int = 1
    """Side of a pixel in the PNG."""

    def run(self) -> None:
        check_page(self.out, n=self.n, zoom=self.zoom)
        from keras_ddpm.data import pictures
        from keras_ddpm.restoration.request import check_one
        from keras_ddpm.saving import files

        files.check_writable(self.out)
        check_one(mask=self.mask, scale=self.scale)
        channels = presets.read_config(self.preset)[1][-1]
        image = pictures.read_image(self.image, channels=channels)
        mask = None if self.mask is None else pictures.read_image(self.mask, channels=1)
        from keras_ddpm.restoration.api import restore

        images, seeds = restore(
            image,
            mask=mask,
            scale=self.scale,
            digit=self.digit,
            w=self.w,
            seed=self.seed,
            n=self.n,
            noise=self.noise,
            steps=self.steps,
            repeats=self.repeats,
            preset=self.preset,
            return_seeds=True,
        )
        write_row(self.out, images, n=self.n, zoom=self.zoom, channels=channels)
        report(self.out, seeds)


def check_page(out: pathlib.Path, *, n: int, zoom: int) -> None:
    """Raise for a page that is no PNG, or has no images, or too many."""
    for name, value, most in (("n", n, MAX_IMAGES), ("zoom", zoom, 32)):
        if not 1 <= value <= most:
            raise ValueError(f"`{name}` must be in 1..{most}. Received: {value}")
    if out.suffix.lower() != ".png":
        raise ValueError(f"`out` must end in .png. Received: {str(out)!r}")


def write_row(out: pathlib.Path, images: np.ndarray, *, n: int, zoom: int, channels: int) -> None:
    """Write one image, or several side by side, at most 20 in a row."""
    from keras_ddpm.data import pictures

    images = images[None] if n == 1 else images
    images = images[..., None] if channels == 1 else images
    pictures.write_png(out, pictures.grid(images, columns=min(n, 20), scale=zoom))


def report(out: pathlib.Path, seeds: np.ndarray) -> None:
    """Say what was written, and from which seeds."""
    from keras_ddpm.cli.sample import in_words

    print(f"{out}: {in_words(int(seeds.min()), seeds.size)}")
