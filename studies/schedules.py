"""Schedules: which of them can be sampled from, with eps and with v, clipped and unclipped?

python -m studies.schedules [--quick]

The report's configuration with T = 100 and each schedule, sampled ancestrally with w = 3. The chain's numbers are kept:
the largest |mu|, and the largest |x_0| before clipping, at every second step. Linear and cosine with v are trained
three times, with other seeds.
"""

import pathlib

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import pictures
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation import drawing
from keras_ddpm.evaluation.probes import health
from studies import arms, study

N = 200
ARMS = {
    "linear eps": "its_configuration",
    "scaled_linear eps": "scaled_linear",
    "cosine eps": "cosine",
    "linear v": "linear_v",
    "scaled_linear v": "scaled_linear_v",
    "cosine v": "cosine_v",
    "zero_terminal_snr v": "zero_terminal_snr_v",
}
THRESHOLDS = ("none", "static")


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    epochs = arms.epochs("its_configuration", options)
    results = study.Results("schedules", options, n=judge.n, epochs=epochs)
    results.row("real", judge.real)
    results.row("zero_terminal_snr eps", impossible)
    for name, arm in ARMS.items():
        for threshold in THRESHOLDS:
            picture = results.picture(f"{name}_{threshold}".replace(" ", "_"))
            results.row(f"{name} {threshold}", arms.trained, measure, arm, options, judge, threshold, 0, picture)
    for name, arm in ARMS.items():
        for seed in options.again(arms.AGAIN.get(arm, ())):
            work = (arms.trained, measure, f"{arm}_seed{seed}", options)
            results.row(f"{name} none seed={seed}", *work, judge, "none", seed, None)
    rows = results.content["rows"]
    for threshold in THRESHOLDS:
        names = [name for name in ARMS if f"{name} {threshold}" in rows]
        if not names:
            continue
        curves = {name: rows[f"{name} {threshold}"]["mu_largest"] for name in names}
        done = 100 - np.array(rows[f"{names[0]} {threshold}"]["steps"])
        path = results.picture(f"mu_{threshold}")
        pictures.plot_curves(path, done, curves, x_label="denoising steps", y_label="max |mu|")


def measure(
    folder: pathlib.Path, judge: study.Judge, threshold: str, seed: int, picture: pathlib.Path | None
) -> study.Figures:
    """Figures of what a run draws with one threshold, and the chain's health; a grid goes to `picture`, if given."""
    sampling = presets.read_config(folder)[0].sampling
    generator = presets.load_preset(folder, threshold=threshold)
    images, seconds = study.draw(generator, judge.labels, sampling.w, seed=seed * judge.n)
    if picture:
        study.grid(picture, images, judge.labels)
    return {**judge.figures(images), "seconds": seconds, **numbers(folder, threshold, sampling.w)}


def numbers(folder: pathlib.Path, threshold: str, w: float) -> study.Figures:
    """The largest |mu| and |x_0| at each step of 50 chains, the diagnosis, and how an error of eps grows in x_0."""
    generator = presets.load_preset(folder, threshold=threshold)
    digit, strength = np.arange(50) % 10, np.full(50, w)
    path = drawing.draw_path(generator, digit, strength, np.arange(50))
    traces, steps, last = drawing.follow(generator, path, digit, strength)
    largest = {name: np.abs(trace).reshape(len(trace), -1).max(axis=1) for name, trace in traces.items()}
    return {
        "steps": steps,
        "mu_largest": largest["mu"],
        "x_0_largest": largest["x_0"],
        "diagnosis": health.diagnose(traces, steps=steps.tolist(), alpha_bar_end=last),
        "terminal_alpha_bar": last,
        "gain_of_eps_in_x_0": np.sqrt((1 - last) / last) if last else None,
    }


def impossible() -> study.Figures:
    """The error that eps-prediction on a zero-terminal-SNR schedule raises."""
    try:
        Diffusion.from_names(schedule="zero_terminal_snr", T=100, prediction="eps")
    except ValueError as error:
        return {"error": str(error)}
    raise AssertionError("eps-prediction was accepted where no signal is left")


if __name__ == "__main__":
    study.main(run, __doc__)
