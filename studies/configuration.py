"""Why blobs? The report's configuration, one change at a time, and all changes together.

python -m studies.configuration [--quick]

All rows except those of `arms.LONG` are trained equally long, and all are sampled alike: DDPM with 100 steps, with
w = 3 and with w = 1. The last rows, of three seeds, leave the network alone and change where sampling starts: from
N(0, I), from a Gaussian with q(x_T)'s mean and variance in each pixel, which holds no digit, and from q(x_T | digit)
itself.
"""

import functools
import pathlib
import shutil

import numpy as np

from keras_ddpm import data, presets, samplers
from keras_ddpm.backends.compiled import compiled
from keras_ddpm.data import pictures
from keras_ddpm.evaluation import drawing
from keras_ddpm.generator import Generator
from keras_ddpm.noise import split_seed
from keras_ddpm.saving.files import atomic
from studies import arms, study, trainings

Array = np.ndarray

N = 200
SETTINGS = {
    "report": ("report", {}),
    "its_configuration": ("its_configuration", {}),
    "scaled_linear": ("scaled_linear", {}),
    "cosine": ("cosine", {}),
    "clip": ("its_configuration", {"threshold": "static"}),
    "film": ("film", {}),
    "cosine_clip": ("cosine", {"threshold": "static"}),
    "all": ("all", {}),
    "scaled_linear_long": ("scaled_linear_long", {}),
    "all_long": ("all_long", {}),
    "all_v": ("all_v", {}),
    "ema": ("ema", {}),
    "T1000": ("T1000", {}),
    "validation": ("validation", {}),
}
"""Row: the training, and the fields of its sampling that differ."""
SHOWN = (3, 6, 12, 30)
"""Epochs of the long training whose grids are kept."""


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    results = study.Results("configuration", options, n=judge.n, epochs=arms.epochs("its_configuration", options))
    results.row("real", judge.real)
    study.grid(results.picture("real"), judge.test[0][: judge.n], judge.labels)
    measure_all(results, SETTINGS, judge, options)
    for start in STARTS:
        for seed in options.seeds():
            picture = results.picture(f"start_{start}") if seed == 0 else None
            work = (arms.trained, from_start, "report", options)
            results.row(f"start {start} seed={seed}", *work, judge, start, seed, picture)
    results.row("validation noise", arms.trained, validation_noise, "report", options, judge)
    keep_grids(results, options.trainings / "report")
    if log := results.content["rows"].get("report w=3", {}).get("log"):
        plot_loss(results.picture("loss"), log)


def measure_all(results: study.Results, settings: dict, judge: study.Judge, options: study.Options) -> None:
    """A row for each w and each setting whose training is there."""
    for name, (arm, sampling) in settings.items():
        for w in (3.0, 1.0):
            picture = results.picture(f"{name}_w{w:g}")
            results.row(f"{name} w={w:g}", arms.trained, measure, arm, options, judge, w, picture, sampling)


def measure(folder: pathlib.Path, judge: study.Judge, w: float, picture: pathlib.Path, sampling: dict) -> study.Figures:
    """Figures of what a run draws, its parameters and how its training went; a grid goes to `picture`."""
    generator = presets.load_preset(folder, **sampling)
    images, seconds = study.draw(generator, judge.labels, w)
    study.grid(picture, images, judge.labels)
    model = {"parameters": generator.network.count_params(), "seconds": seconds}
    model["terminal_alpha_bar"] = drawing.alpha_bar_end(generator.diffusion)
    return {**judge.figures(images), **model, "log": trainings.log(folder)}


def keep_grids(results: study.Results, folder: pathlib.Path) -> None:
    """Copies of the grids that a training drew, each with its epoch in its name."""
    for epoch in SHOWN:
        drawn = folder / "grids" / f"epoch_{epoch:03d}.png"
        if drawn.is_file():
            with atomic(results.picture(f"epoch_{epoch}")) as partial:
                shutil.copyfile(drawn, partial)


def plot_loss(path: pathlib.Path, log: list[dict]) -> None:
    """The losses of a training over its epochs."""
    epochs = [row["epoch"] + 1 for row in log]
    curves = {name: [row[name] for row in log] for name in ("loss", "val_loss")}
    pictures.plot_curves(path, epochs, curves, x_label="epoch", y_label="loss", y_scale="linear")


# Where sampling starts: functions (x_0 of the digits asked for, all training images, alpha_T, sigma_T, noise) -> x_T.


def standard(x_0: Array, training: Array, alpha: Array, sigma: Array, noise: Array) -> Array:
    """N(0, I), as the report has it."""
    return noise


def matched(x_0: Array, training: Array, alpha: Array, sigma: Array, noise: Array) -> Array:
    """A Gaussian with q(x_T)'s mean and variance in each pixel; it holds no digit."""
    return alpha * training.mean(axis=0) + np.sqrt(alpha**2 * training.var(axis=0) + sigma**2) * noise


def marginal(x_0: Array, training: Array, alpha: Array, sigma: Array, noise: Array) -> Array:
    """q(x_T | digit): training images of the digits asked for, noised."""
    return alpha * x_0 + sigma * noise


STARTS = {"standard": standard, "matched": matched, "marginal": marginal}


def draw_from(generator: Generator, x_T: Array, labels: Array, w: Array, seeds: Array) -> Array:
    """Draw as `generator.sample` does, with the noise of the same seeds in the steps, but from a given x_T.

    Args:
        generator: `Generator`.
        x_T: float32 (N, H, W, C).
        labels: int (N,).
        w: float32 (N,).
        seeds: int (N,).

    Returns:
        float32 (N, H, W, C).
    """

    def draw(x_T, label, w, key):
        denoise, between = generator.denoiser({"label": label}, w), functools.partial(generator.noise, key)
        return samplers.loop(denoise, x_T, generator.times, generator.columns, noise=between)

    return np.asarray(compiled(draw, model=generator.network)(x_T, labels.astype("int32"), w, split_seed(seeds)))


def from_start(
    folder: pathlib.Path,
    judge: study.Judge,
    start: str,
    seed: int,
    picture: pathlib.Path | None,
    *,
    w: float = 1.0,
) -> study.Figures:
    """Figures of the long run when sampling starts from another x_T, unguided, so that nothing else repairs it."""
    generator = presets.load_preset(folder)
    alpha, sigma = (np.asarray(a) for a in generator.diffusion.alpha_sigma(1.0))
    images, labels = judge.train
    random = np.random.default_rng(seed)
    x_0 = data.to_float(images[[random.choice(np.flatnonzero(labels == digit)) for digit in judge.labels]])
    x_T = STARTS[start](x_0, data.to_float(images[:10_000]), alpha, sigma, random.standard_normal(x_0.shape))
    seeds, guidance = seed * judge.n + np.arange(judge.n), np.full(judge.n, w, "float32")
    drawn = data.to_uint8(draw_from(generator, x_T.astype("float32"), judge.labels, guidance, seeds))
    if picture:
        study.grid(picture, drawn, judge.labels)
    return judge.figures(drawn)


def validation_noise(folder: pathlib.Path, judge: study.Judge, *, draws: int = 10) -> study.Figures:
    """How much the validation loss of the long run moves with fresh noise, beside what an epoch gains."""
    generator, settings = presets.load_preset(folder), presets.read_config(folder)[0]
    images, labels = arms.validation_images(settings)
    losses = [one_loss(images, labels, generator, seed) for seed in range(draws)]
    log = trainings.log(folder)
    late = np.array([row["val_loss"] for row in log[len(log) // 2 :]])
    return {
        "images": len(images),
        "std_of_draws": np.std(losses, ddof=1),
        "mean_loss": np.mean(losses),
        "mean_gain_of_late_epochs": -np.diff(late).mean() if len(late) > 1 else None,
        "late_epochs_that_rose": int((np.diff(late) > 0).sum()),
        "late_epochs": len(late),
        "learning_rate": [row["learning_rate"] for row in log],
    }


def one_loss(images: np.ndarray, labels: np.ndarray, generator: Generator, seed: int) -> float:
    """The validation loss of a network over uint8 images, with the times and noise of a seed."""
    from keras_ddpm.training.ddpm import DDPM
    from keras_ddpm.training.validation import validation_set

    model = DDPM(generator.network, generator.diffusion, ema_decay=0.0)
    model.compile()
    batch = validation_set(data.to_float(images), labels, generator.diffusion, seed=seed)
    return model.evaluate(*batch, batch_size=500, verbose=0, return_dict=True)["loss"]


if __name__ == "__main__":
    study.main(run, __doc__)
