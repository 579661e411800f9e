"""Why blobs? The report's configuration, one change at a time, and all changes together.

python -m studies.configuration [--quick]

All rows are trained for as long as each other, but for `arms.LONG`, and sampled alike: DDPM with 100 steps, w = 3, and
once more with w = 1.
The last rows, of three seeds, change nothing in the network but where sampling starts: from N(0, I), from a Gaussian
with the mean and variance that q(x_T) has in each pixel, which knows no digit, and from q(x_T | digit) itself.
"""

import shutil

import keras
import numpy as np
from keras import ops

from keras_ddpm import data, presets
from keras_ddpm.data import pictures
from keras_ddpm.files import atomic
from keras_ddpm.noise import split_seed
from studies import arms, study

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


def run(options):
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


def measure_all(results, settings, judge, options):
    """A row for each setting that is trained and each w."""
    for name, (arm, sampling) in settings.items():
        for w in (3.0, 1.0):
            picture = results.picture(f"{name}_w{w:g}")
            results.row(f"{name} w={w:g}", arms.trained, measure, arm, options, judge, w, picture, sampling)


def measure(folder, judge, w, picture, sampling):
    """Figures of what a run draws, with a picture, its parameters and how its training went."""
    generator = presets.load_preset(folder, **sampling)
    images, seconds = study.draw(generator, judge.labels, w)
    study.grid(picture, images, judge.labels)
    facts = {"parameters": generator.network.count_params(), "seconds": seconds}
    facts["terminal_alpha_bar"] = float(generator.diffusion.alpha_bar[-1])
    return {**judge.figures(images), **facts, "log": arms.log(folder)}


def keep_grids(results, folder):
    """Copies of the grids that a training drew, each with its epoch in its name."""
    for epoch in SHOWN:
        drawn = folder / "grids" / f"epoch_{epoch:03d}.png"
        if drawn.is_file():
            with atomic(results.picture(f"epoch_{epoch}")) as partial:
                shutil.copyfile(drawn, partial)


def plot_loss(path, log):
    """The losses of a training over its epochs."""
    epochs = [row["epoch"] + 1 for row in log]
    curves = {name: [row[name] for row in log] for name in ("loss", "val_loss")}
    pictures.plot_curves(path, epochs, curves, x_label="epoch", y_label="loss", y_scale="linear")


# Where sampling starts: functions (x_0 of the digits asked for, all training images, alpha_T, sigma_T, noise) -> x_T.


def standard(x_0, training, alpha, sigma, noise):
    """N(0, I), as the report has it."""
    return noise


def matched(x_0, training, alpha, sigma, noise):
    """A Gaussian with q(x_T)'s mean and variance in each pixel; it holds no digit."""
    return alpha * training.mean(axis=0) + np.sqrt(alpha**2 * training.var(axis=0) + sigma**2) * noise


def marginal(x_0, training, alpha, sigma, noise):
    """q(x_T | digit): training images of the digits asked for, noised."""
    return alpha * x_0 + sigma * noise


STARTS = {"standard": standard, "matched": matched, "marginal": marginal}


class Started(keras.Model):
    """A generator that is given its x_T (B, H, W, C) and the noise of its steps (B, S, H, W, C)."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def call(self, inputs):
        between = ops.moveaxis(inputs["noise"], 1, 0)
        return self.generator.from_noise(inputs["digit"], inputs["w"], inputs["x_T"], between)


def from_start(folder, judge, start, seed, picture, *, w=1.0):
    """Figures of the long run when sampling starts from another x_T, unguided, so that nothing else repairs it."""
    generator = presets.load_preset(folder)
    alpha, sigma = (np.asarray(table) for table in generator.diffusion.alpha_sigma(generator.diffusion.T - 1))
    images, labels = judge.train
    random = np.random.default_rng(seed)
    x_0 = data.to_float(images[[random.choice(np.flatnonzero(labels == digit)) for digit in judge.labels]])
    x_T = STARTS[start](x_0, data.to_float(images[:10_000]), alpha, sigma, random.standard_normal(x_0.shape))
    _, between = generator.draw_noise(split_seed(seed * judge.n + np.arange(judge.n)))
    inputs = {
        "digit": judge.labels,
        "w": np.full(judge.n, w, "float32"),
        "x_T": x_T.astype("float32"),
        "noise": np.moveaxis(np.asarray(between), 0, 1),  # (B, S, H, W, C)
    }
    drawn = data.to_uint8(np.asarray(Started(generator).predict_on_batch(inputs)["image"]))
    if picture:
        study.grid(picture, drawn, judge.labels)
    return judge.figures(drawn)


def validation_noise(folder, judge, *, draws=10):
    """How much the validation loss of the long run moves with fresh noise, beside what an epoch gains."""
    generator, settings = presets.load_preset(folder), presets.read_config(folder)[0]
    images, labels = (array[: settings.data.validation_images or None] for array in judge.test)
    losses = [one_loss(images, labels, generator, seed) for seed in range(draws)]
    log = arms.log(folder)
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


def one_loss(images, labels, generator, seed):
    """The validation loss of a network over uint8 images, with the times and noise of a seed."""
    from keras_ddpm.training import DDPM, validation_set

    model = DDPM(generator.network, generator.diffusion, num_classes=generator.network.num_classes, ema_decay=0.0)
    model.compile()
    batch = validation_set(data.to_float(images), labels, generator.diffusion.T, seed=seed)
    return model.evaluate(*batch, batch_size=500, verbose=0, return_dict=True)["loss"]


if __name__ == "__main__":
    study.main(run, __doc__)
