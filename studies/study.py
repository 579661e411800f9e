"""What every study shares: its options, its real images and judges, and results that a later run continues.

    results/<study>/rows.json    rows[name] = figures, written after each row, so that a stopped study loses nothing
    results/<study>/*.png        its pictures

A study is a function of `Options`; `python -m studies.<name> --quick` runs a small version into another folder.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import data, presets
from keras_ddpm.cli.run import run as run_command
from keras_ddpm.config import SamplingConfig
from keras_ddpm.data import pictures
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.digit_clip import load_digit_clip
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.metrics import bind
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores
from keras_ddpm.generator import Generator
from keras_ddpm.saving import files

RESULTS = pathlib.Path(__file__).parent / "results"
ROWS = "rows.json"
SEEDS = 3
THIN = "runs/mnist_fast/diffusion"
"""The first stage of configs/mnist_fast.py: a model that draws several times as fast as the default."""
GROUPS = ("accuracy", "distances", "manifold", "diversity", "pixels")
KEPT = {"accuracy", "confidence", "frechet_distance", "precision", "recall", "density", "coverage", "diversity"}
KEPT |= {"nearest_sibling", "pixel_mean", "black", "white", "grey"}

Figures = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Options:
    quick: bool = False
    """Few images and steps, into runs/quick: takes minutes and shows that the study runs. The figures mean nothing."""
    preset: str = "mnist"
    """The default model: name of a shipped preset, or a folder of the same shape."""
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    out: pathlib.Path | None = None
    """Folder of the results. Default: studies/results."""
    train: bool = True
    """--no-train: leave out the rows whose training is not finished."""
    runs: pathlib.Path | None = None
    """Folder of the trainings. Default: runs/studies."""

    @property
    def results(self) -> pathlib.Path:
        """Folder of the results."""
        return self.out or (pathlib.Path("runs/quick/results") if self.quick else RESULTS)

    @property
    def trainings(self) -> pathlib.Path:
        """Folder of the trainings."""
        return self.runs or pathlib.Path("runs/quick" if self.quick else "runs/studies")

    def flags(self) -> str:
        """The options that change figures, as on the command line."""
        own = {field.name: field.default for field in dataclasses.fields(self)}
        given = {name: getattr(self, name) for name in own if name not in ("quick", "out", "train", "runs")}
        changed = [f" --{name} {value}" for name, value in given.items() if value != own[name]]
        return (" --quick" if self.quick else "") + "".join(changed)

    def sampling(self) -> SamplingConfig:
        """The default model's sampling.

        Raises:
            ValueError: if it has a w for each digit, since a row has one w.
        """
        found = presets.read_config(self.preset)[0].sampling
        if np.ndim(found.w):
            raise ValueError(f"`preset` must have one w for all digits. Received: {self.preset!r}, w = {found.w}")
        return found

    def model(self) -> dict[str, Any]:
        """What identifies the default model, for the settings of the rows that it drew."""
        return {"weights": presets.fingerprint(self.preset), "sampling": dataclasses.asdict(self.sampling())}

    def count(self, n: int) -> int:
        """How many images: n, or few."""
        return 100 if self.quick else n

    def again(self, seeds: Sequence[int]) -> Sequence[int]:
        """Seeds of what is trained again: all, or none."""
        return () if self.quick else seeds

    def seeds(self) -> range:
        """Seeds of the repetitions."""
        return range(1 if self.quick else SEEDS)


@dataclasses.dataclass(frozen=True)
class ThinOptions(Options):
    preset: str = THIN
    """The model that draws: a run of the first stage of configs/mnist_fast.py, or another model of MNIST."""


def main(run: Callable[[Any], object], description: str | None, kind: type[Options] = Options) -> None:
    """The command line of one study, whose options are of a kind."""

    def command():
        options = tyro.cli(kind, description=description)
        files.check_folder(options.results)
        run(options)

    run_command(command)


class Results:
    """The rows of a study in a JSON file, which is written after each row.

    Args:
        name: Name of the study, and of its folder.
        options: `Options`.
        **settings: What all rows share.

    Raises:
        ValueError: if the file holds rows of other settings, which would be lost.
    """

    def __init__(self, name: str, options: Options, **settings):
        self.name, self.path = name, options.results / name / ROWS
        settings = json.loads(json.dumps(settings | {"dataset": options.dataset}))
        self.content: dict[str, Any] = {
            "command": f"python -m studies.{name}{options.flags()}",
            "settings": settings,
            "rows": {},
        }
        if self.path.is_file():
            before = json.loads(self.path.read_text())
            if _with_new_fields(before["settings"]) != settings:
                raise ValueError(f"{self.path} holds rows of other settings. Move it away, or choose another --out")
            self.content = before | {"command": self.content["command"]}
        files.check_folder(self.path.parent)

    def row(self, name: str, work: Callable[..., Figures | None], *args) -> Figures | None:
        """The figures of a row: those in the file, or what `work(*args)` returns, with the machine and the seconds.

        None, and nothing is written, if `work` returns None because the training that it needs is not finished.
        """
        if name not in self.content["rows"]:
            start = time.perf_counter()
            figures = work(*args)
            if figures is None:
                return None
            took = {"machine": machine.describe(), "row_seconds": round(time.perf_counter() - start, 1)}
            self.content["rows"][name] = _plain({**figures, **took})
            self.write()
            print(f"{self.name}: {name} ({took['row_seconds']} s)", flush=True)
        return self.content["rows"][name]

    def note(self, name: str, value: Any) -> None:
        """Keep something that belongs to no single row."""
        self.content[name] = _plain(value)
        self.write()

    def write(self) -> None:
        """Write the file."""
        files.write_text(self.path, json.dumps(self.content, indent=1) + "\n")

    def picture(self, name: str) -> pathlib.Path:
        """Path of a picture beside the file."""
        return self.path.with_name(f"{name}.png")


class Judge:
    """Real images and the judges of generated ones.

    Generated images are judged beside as many real test images of the same digits; both are compared with training
    images.

    Args:
        options: `Options`.
        n: Number of images.
    """

    def __init__(self, options: Options, n: int):
        self.train, self.test = (_pair(data.load(options.dataset, split)) for split in ("train", "test"))
        self.n, self.labels = n, self.test[1][:n]
        self.classifier = memoize(load_classifier())
        self.clip = load_digit_clip()
        reference = (self.train[0][:n], self.train[1][:n])
        self.metrics = bind(reference=reference, training=self.train[0], classifier=self.classifier)

    def figures(self, images: np.ndarray) -> Figures:
        """Figures of uint8 images (n, 28, 28, 1) that should show `labels`; accuracy and CLIP's also per digit."""
        found: Figures = {}
        for group in GROUPS:
            found |= dict(self.metrics[group](images, self.labels))
        scores = dict(clip_scores(images, self.labels, evaluator=self.clip))
        scores = {name.removeprefix(f"clip/{self.clip.name}/"): value / 100 for name, value in scores.items()}
        figures = {name: value for name, value in found.items() if name in KEPT}
        figures["accuracy_of_digit"] = [found[f"accuracy/{digit}"] for digit in range(10)]
        for name in ("photo", "blurry", "sharp"):
            figures[name] = scores[f"{name}/all"]
            figures[f"{name}_of_digit"] = [scores[f"{name}/{digit}"] for digit in range(10)]
        return figures

    def real(self) -> Figures:
        """The same figures of the real test images."""
        return self.figures(self.test[0][: self.n])


def draw(
    generator: Generator, labels: np.ndarray, w: Any, *, seed: int = 0, **attributes: np.ndarray
) -> tuple[np.ndarray, float]:
    """Draw one image for each label, image i with seed `seed` + i.

    Args:
        generator: `Generator`.
        labels: int (N,).
        w: float, or (N,).
        seed: Seed of the first image.
        **attributes: (N,) each, what else the generator is asked for.

    Returns:
        uint8 images (N, H, W, C), and the seconds they took.
    """
    start = time.perf_counter()
    images = generator.sample(labels, w, seed + np.arange(len(labels)), **attributes)["image"]
    return data.to_uint8(images), time.perf_counter() - start


def grid(path: pathlib.Path, images: np.ndarray, labels: np.ndarray, *, columns: int = 10) -> None:
    """Write a picture of the first images of each digit, one row a digit."""
    shown = [images[labels == digit][:columns] for digit in np.unique(labels)]
    columns = min(columns, *(len(row) for row in shown))
    together = np.concatenate([row[:columns] for row in shown])
    pictures.write_png(path, pictures.grid(together, columns=columns))


def named(rows: dict[str, Figures], start: str) -> list[Figures]:
    """The rows whose names begin with `start`: those of all seeds."""
    return [row for name, row in rows.items() if name.startswith(start)]


def spread(rows: Iterable[Figures], figure: str) -> tuple[float, float]:
    """Mean and standard deviation (0 for a single row) of a figure over several rows.

    Raises:
        ValueError: if there are no rows.
    """
    values = [row[figure] for row in rows]
    if not values:
        raise ValueError(f"There are no rows to take {figure!r} from")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _with_new_fields(settings: dict[str, Any]) -> dict[str, Any]:
    """Recorded settings, with the defaults of what `SamplingConfig` has got since: they change nothing."""
    if "sampling" not in settings:
        return settings
    return settings | {"sampling": _plain(dataclasses.asdict(SamplingConfig())) | settings["sampling"]}


def _pair(dataset: data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return dataset.images, dataset.labels


def _plain(value):
    """The same as JSON holds it: numbers to six digits, NaN as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
