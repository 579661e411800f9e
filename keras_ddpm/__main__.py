"""The command line: python -m keras_ddpm sample | evaluate | compare | presets | info."""

import dataclasses
import os
import pathlib
import sys

import numpy as np
import tyro

from keras_ddpm.evaluation.command import Compare, Evaluate

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages are not ours


@dataclasses.dataclass(frozen=True)
class Sample:
    """Draw digits into a PNG, a row for each digit, or into an .npz file, for `evaluate --images` and `cas`."""

    digits: tyro.conf.Positional[tuple[int, ...]]
    """One digit or several."""
    w: float | None = None
    """Guidance: 0 ignores the digit, 1 is the conditional model, more is more typical. Default: the preset's."""
    n: int = 1
    """Images of each digit."""
    out: pathlib.Path = pathlib.Path("digits.png")
    """A .png, or an .npz with `images` (uint8, N x H x W x C), `labels` and `seed`."""
    seed: int | None = None
    """Seed of the first image; the others follow. Default: fresh."""
    sampler: str | None = None
    steps: int | None = None
    preset: str = "mnist"
    scale: int = 2
    """Size of a pixel in the PNG."""

    def run(self):
        from keras_ddpm import api, pictures
        from keras_ddpm.request import fresh_seeds

        if self.n < 1 or self.scale < 1 or not self.digits:
            raise ValueError(
                f"`digits`, `n` and `scale` must be at least one. Received: {self.digits}, {self.n}, {self.scale}"
            )
        pictures.check_writable(self.out)
        digit = np.repeat(self.digits, self.n)
        first = int(fresh_seeds(())) % 2**32 if self.seed is None else self.seed
        seed = [first + i for i in range(digit.size)]  # Python integers: too large a seed is an error, no wrap
        with _progress(digit.size) as bar:
            images = api.sample(
                digit,
                self.w,
                seed=seed,
                sampler=self.sampler,
                steps=self.steps,
                preset=self.preset,
                progress=bar.update,
            )
        images = images[..., None] if images.ndim == 3 else images
        if self.out.suffix == ".npz":
            pictures.write_npz(self.out, images=images, labels=digit, seed=np.array(seed))
        else:
            pictures.write_png(self.out, pictures.grid(images, columns=self.n, scale=self.scale))
        print(f"{self.out}: {digit.size} images, seeds {first} to {seed[-1]}")


@dataclasses.dataclass(frozen=True)
class Presets:
    """List the shipped presets."""

    def run(self):
        from keras_ddpm import presets
        from keras_ddpm.request import in_words

        for name in presets.names():
            config, image_shape, num_classes = presets.read_config(name)
            s = config.sampling
            shape = " x ".join(map(str, image_shape))
            print(f"{name}: {shape}, {num_classes} classes; w = {in_words(s.w)}, {s.sampler}, {s.steps} steps")


@dataclasses.dataclass(frozen=True)
class Info:
    """Print a preset's configuration and the versions in use."""

    preset: str = "mnist"

    def run(self):
        from keras_ddpm import presets

        print((presets.find(self.preset) / "config.json").read_text(), end="")
        print("in use:", ", ".join(f"{name} {version}" for name, version in presets.versions().items()))


COMMANDS = {"sample": Sample, "evaluate": Evaluate, "compare": Compare, "presets": Presets, "info": Info}


def main(args=None):
    """Run one command; an error in what was asked for is one line and exit status 2."""
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="python -m keras_ddpm", args=args)
    try:
        command.run()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _progress(total):
    from tqdm import tqdm

    return tqdm(total=total, unit="image", disable=total < 256 or not sys.stderr.isatty())


if __name__ == "__main__":
    main()
