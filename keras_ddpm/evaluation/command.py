"""The commands `evaluate` and `compare`, over `evaluate()` and `comparison`."""

import dataclasses
import logging
import pathlib
from typing import Annotated

import tyro

from keras_ddpm import presets
from keras_ddpm.saving import files


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a preset, a run or a file of images: write report.html and report.json, and print a short table."""

    preset: str | None = None
    """Name of a shipped preset. Default: mnist_fast_v2; mnist with --w, --sampler or --steps."""
    run_folder: Annotated[pathlib.Path | None, tyro.conf.arg(name="run")] = None
    """Folder that train.py wrote."""
    images: str | None = None
    """.npz file with `images` (uint8, N x H x W x C) and `labels`, or a folder that `synthesize` wrote."""
    n: int | None = None
    """Number of images, and of real test images beside them. Default: 1000, with --images all; at most the real ones;
    of a folder in shards, the sample for what is not counted over all images."""
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
    only: str | None = None
    """Some of accuracy,fid,prdc,diversity,memorisation,pixels,clip,recognition,health. Default: all; clip for MNIST."""
    cas: bool = False
    """Add the classification accuracy score: trains two classifiers, which takes minutes."""
    clip: str = "digit"
    """digit: our own small CLIP. Or OpenAI's, if its weights are available: clip-vit-base-patch32 and siblings."""
    dataset: str | None = None
    """The real images: digits_8x8, colour_mnist, canvas_mnist, a TFDS name, or path of an .npz file. Default: the
    judge's."""
    judge: pathlib.Path | None = None
    """Folder of a judge that knows the data set: see `judge --help`. Default: the shipped one, which knows MNIST."""
    out: pathlib.Path = pathlib.Path("report")
    """Folder to write into."""

    def run(self) -> None:
        """Evaluates, writes both files and prints the table."""
        source = self._source()
        files.probe_folder(self.out)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of graphs for several shapes: intended
        from keras_ddpm.evaluation.api import evaluate

        names = ("n", "w", "sampler", "steps", "temperature", "seed", "only", "cas", "clip", "dataset", "judge")
        with _Bars() as bars:
            report = evaluate(source, **{name: getattr(self, name) for name in names}, progress=bars.show)
        report.save(self.out)
        facts = report.content["facts"]
        print("\n".join([facts["title"], facts["judges"], report.verdict, "", report.table(), *report.warnings]))
        print(f"\n{self.out / 'report.html'}")

    def _source(self):
        from keras_ddpm.evaluation.sources import is_data_set

        sources = [value for value in (self.preset, self.run_folder, self.images) if value is not None]
        if len(sources) > 1:
            raise ValueError("Give one of --preset, --run and --images, not several")
        if self.images and (self.w, self.sampler, self.steps, self.temperature) != (None,) * 4:
            raise ValueError("--w, --sampler, --steps and --temperature do nothing to --images, which are given")
        if self.images and not (pathlib.Path(self.images).is_file() or is_data_set(self.images)):
            raise FileNotFoundError(f"There is no file {self.images!r}, and no data set in shards")
        return sources[0] if sources else presets.default_for(w=self.w, sampler=self.sampler, steps=self.steps)


@dataclasses.dataclass(frozen=True)
class Compare:
    """Put two reports side by side: print their figures, and write a page on request."""

    a: tyro.conf.Positional[pathlib.Path]
    """A report.json, or the folder that holds it."""
    b: tyro.conf.Positional[pathlib.Path]
    """The other one."""
    out: pathlib.Path | None = None
    """HTML file to write."""

    def run(self) -> None:
        """Compares, prints, and writes the page."""
        from keras_ddpm.evaluation.page import comparison
        from keras_ddpm.evaluation.report import read_report

        if self.out:
            files.check_writable(self.out)
        reports = [read_report(path) for path in (self.a, self.b)]
        print(comparison.text(*reports))
        if self.out:
            files.write_text(self.out, comparison.render(*reports))
            print(f"\n{self.out}")


class _Bars:
    """Two progress bars, one after the other: images drawn or read, and stages of the measuring."""

    def __enter__(self):
        self.bar, self.unit = None, None
        return self

    def show(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        unit = "image" if stage in ("sampling", "reading") else "stage"
        if unit != self.unit:
            self.__exit__()
            self.bar, self.unit = tqdm(total=total, desc=stage, unit=unit, disable=None), unit
        self.bar.set_description(stage, refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()
