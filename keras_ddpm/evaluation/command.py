"""The commands `evaluate` and `compare`: sample from a preset, or read images, and hand the arrays to evaluation."""

import dataclasses
import json
import logging
import pathlib
import time
from typing import Annotated

import numpy as np
import tyro

from keras_ddpm.whole import write_text


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a preset, a run or a file of images: write report.html and report.json, print a short table."""

    preset: str | None = None
    """Name of a shipped preset. Default: mnist."""
    run_folder: Annotated[pathlib.Path | None, tyro.conf.arg(name="run")] = None
    """Folder that train.py wrote."""
    images: pathlib.Path | None = None
    """.npz file with `images` (uint8, N x 28 x 28 x 1) and `labels`."""
    n: int | None = None
    """Images, and real test images beside them. Default: 1000; with --images all, up to the number of real ones."""
    w: float | None = None
    """Guidance. Default: the preset's, like the sampler and the steps."""
    sampler: str | None = None
    steps: int | None = None
    seed: int = 0
    """Seed of the first image; the others follow."""
    only: str | None = None
    """Some of accuracy,fid,prdc,diversity,memorisation,pixels,clip,recognition,health. Default: all."""
    cas: bool = False
    """Also the classification accuracy score: trains two classifiers, which takes minutes."""
    clip: str = "digit"
    """digit: our own small one; or OpenAI's, if its weights can be had: clip-vit-base-patch32 and siblings."""
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    out: pathlib.Path = pathlib.Path("report")
    """Folder to write into."""

    def run(self):
        start = time.perf_counter()
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of graphs for several shapes: they are meant
        from keras_ddpm import evaluation_job
        from keras_ddpm.evaluation import cas, names, page, report

        job = evaluation_job.prepare(self)
        ready = time.perf_counter()
        with _bar(len(job.labels), "sampling", "image") as bar:
            images, process = evaluation_job.draw(job, self.seed, progress=bar.update)
        seconds = {"start": ready - start, "sampling": time.perf_counter() - ready}
        with _bar(len(job.groups) + 1 + self.cas, "measuring", "stage") as bar:
            result, pictures = report.measure(
                images,
                job.labels,
                test=job.test,
                training=job.training,
                groups=job.groups,
                evaluator=job.evaluator,
                process=process,
                cas_steps=cas.STEPS * self.cas,
                notify=lambda stage: (bar.set_postfix_str(stage, refresh=False), bar.update()),
            )
        result["seconds"] = {**{name: round(value, 2) for name, value in seconds.items()}, **result["seconds"]}
        result["facts"] = evaluation_job.facts(self, job)
        write_text(self.out / "report.json", json.dumps(_finite(result), indent=1) + "\n")
        write_text(self.out / "report.html", page.render(result, pictures))
        found = result.get("health", {}).get("diagnosis", [])
        print("\n".join([result["facts"]["title"], result["facts"]["judges"], "", names.summary(result), *found]))
        print(f"\n{self.out / 'report.html'}")


@dataclasses.dataclass(frozen=True)
class Compare:
    """Put two reports side by side: print the figures, and write a page if asked."""

    a: tyro.conf.Positional[pathlib.Path]
    """A report.json, or the folder that holds it."""
    b: tyro.conf.Positional[pathlib.Path]
    out: pathlib.Path | None = None
    """HTML file to write."""

    def run(self):
        from keras_ddpm import pictures

        if self.out:
            pictures.check_writable(self.out)
        reports = [_read(path) for path in (self.a, self.b)]
        from keras_ddpm.evaluation import comparison

        print(comparison.text(*reports))
        if self.out:
            write_text(self.out, comparison.render(*reports))
            print(f"\n{self.out}")


def _read(path):
    """A report that `evaluate` wrote."""
    file = path / "report.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"There is no report {str(file)!r}. Make it with: python -m keras_ddpm evaluate")
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        report["figures"], report["facts"]["title"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(file)!r} is no report of `evaluate`: {error!r}") from error
    return report


def _finite(value):
    """The same with null for what JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _bar(total, what, unit):
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, disable=None)
