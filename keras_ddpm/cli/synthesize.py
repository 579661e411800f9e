"""keras-ddpm synthesize: a labelled data set in shards."""

import dataclasses
from typing import Annotated, Literal

import tyro

from keras_ddpm import presets
from keras_ddpm.cli import interrupt


@dataclasses.dataclass(frozen=True)
class Synthesize:
    """Draw a labelled data set in shards, as an Apache Beam pipeline. The same command goes on where it stopped.

    Options of Beam follow after --, such as: -- --runner DataflowRunner --project mine --temp_location gs://mine/temp
    """

    n: int
    """Images to draw. Filters remove some."""
    out: str
    """A new or empty folder, or one of this data set; or a bucket: gs://, s3:// (pip install 'apache-beam[gcp]')."""
    preset: str = presets.DEFAULT
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training."""
    format: Literal["tfrecord", "parquet", "png", "npz"] = "tfrecord"
    """tfrecord: for tfds.builder_from_directory. parquet: for `datasets` and pandas. png: zipped, label/seed.png."""
    shard_size: int = 10_000
    """Images drawn for one shard: shard i is the seeds [i N, (i + 1) N) after the first."""
    proportions: tuple[float, ...] = ()
    """Share of each class, which sum to 1. Default: equal."""
    w: float | None = None
    """Guidance. Default: the preset's, as for the sampler and the steps."""
    sampler: str | None = None
    """Sampler: ddpm, ddim and others. Default: the preset's."""
    steps: int | None = None
    """Sampling steps. Default: the preset's."""
    temperature: float | None = None
    """Standard deviation of x_T, see docs/few_step.md. Default: the preset's."""
    seed: int = 0
    """Seed of the first image; the others follow."""
    batch: int = 250
    """Images of one call of the generator, up to 256."""
    runtime: Literal["keras", "litert", "onnx", "openvino"] = "keras"
    """What calls the network, see `keras-ddpm sample --help`."""
    min_confidence: float | None = None
    """Keep images whose class has at least this probability by a judge, in (0, 1]."""
    judge: str | None = None
    """Folder of that judge, see `judge --help`. Default: the shipped one, which knows MNIST and `evaluate` uses too."""
    min_distance: float | None = None
    """Keep images at least this far from every training image, root mean square in (0, 1]."""
    beam: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()
    """Beam's options."""

    def run(self) -> None:
        interrupt.advise(lambda: "The same command goes on.")
        from keras_ddpm.synthesis import synthesize

        names = ("n", "out", "preset", "format", "shard_size", "w", "sampler", "steps", "temperature", "seed", "batch")
        filters = ("min_confidence", "judge", "min_distance")
        found = synthesize(
            **{name: getattr(self, name) for name in (*names, *filters)},
            proportions=self.proportions or None,
            runtime=None if self.runtime == "keras" else self.runtime,
            beam_options=self.beam,
        )
        done = ", ".join(f"{count} {how}" for how, count in sorted(found["done"].items()))
        print(f"{self.out}: {found['images']} images, {found['bytes'] / 1e6:.1f} MB, shards: {done}")
        print("labels:", " ".join(map(str, found["labels"])))
        for name, count in found["removed"].items():
            print(f"removed by {name}: {count}")


def split_beam(args: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The arguments before "--", and those after it."""
    if "--" not in args:
        return args, ()
    place = args.index("--")
    return args[:place], tuple(args[place + 1 :])
