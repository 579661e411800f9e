"""keras-ddpm vary, keras-ddpm interpolate: pictures near a picture, and between two."""

import dataclasses
import pathlib

import tyro

from keras_ddpm import presets
from keras_ddpm.cli.restore import check_page, report, write_row


@dataclasses.dataclass(frozen=True)
class Vary:
    """Draw variations of a picture: vary seven.png --level 0.6 --n 8."""

    image: tyro.conf.Positional[pathlib.Path]
    """The picture, white on black as MNIST is, of the preset's size."""
    level: float = 0.6
    """0 leaves it as it is, 1 ignores it."""
    digit: int | None = None
    """What the variations show. Default: unknown."""
    w: float | None = None
    """Guidance towards the digit. Default: the preset's."""
    n: int = 8
    """Variations, side by side."""
    seed: int | None = None
    """Seed of the first, 0 ... 2^63 - 1; the others follow. Default: fresh."""
    sampler: str | None = None
    """See `sample`. Default: the preset's."""
    steps: int | None = None
    """Steps from noise to a picture, of which those below the level are taken. Default: the preset's."""
    preset: str = presets.DEFAULT
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training."""
    out: pathlib.Path = pathlib.Path("varied.png")
    """A .png."""
    zoom: int = 1
    """Side of a pixel in the PNG."""

    def run(self) -> None:
        check_page(self.out, n=self.n, zoom=self.zoom)
        from keras_ddpm.data import pictures
        from keras_ddpm.saving import files

        files.check_writable(self.out)
        channels = presets.read_config(self.preset)[1][-1]
        image = pictures.read_image(self.image, channels=channels)
        from keras_ddpm.editing import vary

        images, seeds = vary(
            image,
            self.level,
            digit=self.digit,
            w=self.w,
            seed=self.seed,
            n=self.n,
            sampler=self.sampler,
            steps=self.steps,
            preset=self.preset,
            return_seeds=True,
        )
        write_row(self.out, images, n=self.n, zoom=self.zoom, channels=channels)
        report(self.out, seeds)


@dataclasses.dataclass(frozen=True)
class Interpolate:
    """Draw what lies between two digits, or two seeds of one: interpolate 3 8 --seeds 5 6."""

    digits: tyro.conf.Positional[tuple[int, ...]]
    """One digit, or the first and the last."""
    seeds: tuple[int, ...] = (0,)
    """One seed, or the first and the last, 0 ... 2^63 - 1."""
    w: float | None = None
    """Guidance. Default: the preset's."""
    n: int = 8
    """Pictures, with both ends."""
    sampler: str | None = None
    """See `sample`. Default: the preset's."""
    steps: int | None = None
    """Steps of the sampler. Default: the preset's."""
    temperature: float | None = None
    """Standard deviation of x_T. Default: the preset's."""
    preset: str = presets.DEFAULT
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training."""
    out: pathlib.Path = pathlib.Path("between.png")
    """A .png."""
    zoom: int = 2
    """Side of a pixel in the PNG."""

    def run(self) -> None:
        check_page(self.out, n=self.n, zoom=self.zoom)
        for name in ("digits", "seeds"):
            if len(getattr(self, name)) not in (1, 2):
                raise ValueError(f"`{name}` must be one or two. Received: {len(getattr(self, name))}")
        from keras_ddpm.saving import files

        files.check_writable(self.out)
        channels = presets.read_config(self.preset)[1][-1]
        from keras_ddpm.editing import interpolate

        digit, seed = (values[0] if len(values) == 1 else values for values in (self.digits, self.seeds))
        names = ("n", "w", "sampler", "steps", "temperature", "preset")
        images = interpolate(digit, seed, **{name: getattr(self, name) for name in names})
        write_row(self.out, images, n=self.n, zoom=self.zoom, channels=channels)
        print(f"{self.out}: {self.n} images, seeds {' to '.join(map(str, self.seeds))}")
