"""What every study shares: its flags, its real images and judges, and results that a later run goes on from.

    rows[name] = figures        written as soon as a row is done, so that a study that was stopped does the rest

A study is a function of `Options`; `python -m studies.<name> --quick` runs it small, into another folder.
"""

import dataclasses
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import data, presets
from keras_ddpm.data import pictures
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.digit_clip import load_digit_clip
from keras_ddpm.evaluation.memoize import memoize
from keras_ddpm.evaluation.metrics import bind
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores
from keras_ddpm.files import write_text

RESULTS = pathlib.Path(__file__).parent / "results"
SEEDS = 3
GROUPS = ("accuracy", "distances", "manifold", "diversity", "pixels")
KEPT = {"accuracy", "confidence", "frechet_distance", "precision", "recall", "density", "coverage", "diversity"}
KEPT |= {"nearest_sibling", "pixel_mean", "black", "white", "grey"}


@dataclasses.dataclass(frozen=True)
class Options:
    quick: bool = False
    """A few images and steps, into runs/quick: minutes, to see that it runs. The figures mean nothing."""
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
    def results(self):
        """Folder of the results."""
        return self.out or (pathlib.Path("runs/quick/results") if self.quick else RESULTS)

    @property
    def trainings(self):
        """Folder of the trainings."""
        return self.runs or pathlib.Path("runs/quick" if self.quick else "runs/studies")

    def flags(self):
        """The flags that change figures, as on the command line."""
        given = {"--preset": self.preset, "--dataset": self.dataset}
        changed = [f" {flag} {value}" for flag, value in given.items() if value != "mnist"]
        return (" --quick" if self.quick else "") + "".join(changed)

    def sampling(self):
        """`SamplingConfig` of the default model.

        Raises:
            ValueError: if its w is one for each digit, since a row is of one w.
        """
        found = presets.read_config(self.preset)[0].sampling
        if np.ndim(found.w):
            raise ValueError(f"`preset` must have one w for all digits. Received: {self.preset!r}, w = {found.w}")
        return found

    def model(self):
        """What tells the default model from others, for the settings of rows that it drew."""
        return {"weights": presets.fingerprint(self.preset), "sampling": dataclasses.asdict(self.sampling())}

    def count(self, n):
        """How many images: n, or few."""
        return 100 if self.quick else n

    def seeds(self):
        """Seeds of the repetitions."""
        return range(1 if self.quick else SEEDS)


def main(run, description):
    """The command line of one study."""
    options = tyro.cli(Options, description=description)
    options.results.mkdir(parents=True, exist_ok=True)
    try:
        run(options)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


class Results:
    """The rows of a study in a JSON file, written whole after each row.

    Args:
        name: Of the study, and of its file.
        options: `Options`.
        **settings: What all rows share.

    Raises:
        ValueError: if the file holds rows of other settings, which would be lost.
    """

    def __init__(self, name, options, **settings):
        self.path = options.results / f"{name}.json"
        settings = json.loads(json.dumps(settings | {"dataset": options.dataset}))
        self.content = {"command": f"python -m studies.{name}{options.flags()}", "settings": settings, "rows": {}}
        if self.path.is_file():
            before = json.loads(self.path.read_text())
            if before["settings"] != settings:
                raise ValueError(f"{self.path} holds rows of other settings. Move it away, or choose another --out")
            self.content = before | {"command": self.content["command"]}

    def row(self, name, work, *args):
        """The figures of a row: those in the file, or what `work(*args)` returns, with the machine and its seconds.

        None, and nothing is written, if `work` returns None: the training it needs is not finished.
        """
        if name not in self.content["rows"]:
            start = time.perf_counter()
            figures = work(*args)
            if figures is None:
                return None
            took = {"machine": machine.describe(), "row_seconds": round(time.perf_counter() - start, 1)}
            self.content["rows"][name] = _plain({**figures, **took})
            self.write()
            print(f"{self.path.stem}: {name} ({took['row_seconds']} s)", flush=True)
        return self.content["rows"][name]

    def note(self, name, value):
        """Keep something that is not of one row."""
        self.content[name] = _plain(value)
        self.write()

    def write(self):
        """Write the file."""
        write_text(self.path, json.dumps(self.content, indent=1) + "\n")

    def picture(self, name):
        """Path of a picture beside the file."""
        return self.path.with_name(f"{self.path.stem}_{name}.png")


class Judge:
    """Real images and the judges of generated ones.

    Images are judged beside as many real test images with the same digits; both are compared with training images.

    Args:
        options: `Options`.
        n: Number of images.
    """

    def __init__(self, options, n):
        self.train, self.test = (data.load(options.dataset, split)[:2] for split in ("train", "test"))
        self.n, self.labels = n, self.test[1][:n]
        self.classifier = memoize(load_classifier())
        self.clip = load_digit_clip()
        reference = tuple(array[:n] for array in self.train)
        self.metrics = bind(reference=reference, training=self.train[0], classifier=self.classifier)

    def figures(self, images):
        """Figures of uint8 images (n, 28, 28, 1) that were meant to be `labels`; per digit: accuracy and CLIP's."""
        found = {}
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

    def real(self):
        """The same figures of the real test images."""
        return self.figures(self.test[0][: self.n])


def draw(generator, labels, w, *, seed=0):
    """uint8 images (N, H, W, C), image i with seed `seed` + i, and the seconds they took."""
    start = time.perf_counter()
    images = generator.sample(labels, w, seed + np.arange(len(labels)))["image"]
    return data.to_uint8(images), time.perf_counter() - start


def grid(path, images, labels, *, columns=10):
    """Write a picture of the first images of each digit, a row a digit."""
    shown = [images[labels == digit][:columns] for digit in np.unique(labels)]
    columns = min(columns, *(len(row) for row in shown))
    together = np.concatenate([row[:columns] for row in shown])
    pictures.write_png(path, pictures.grid(together, columns=columns))


def named(rows, start):
    """The rows whose names start so: those of all seeds."""
    return [row for name, row in rows.items() if name.startswith(start)]


def spread(rows, figure):
    """A figure of several rows: their mean, and their standard deviation (0 of a single one).

    Raises:
        ValueError: if there are no rows.
    """
    if not rows:
        raise ValueError(f"There are no rows to take {figure!r} from")
    values = [row[figure] for row in rows]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


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
