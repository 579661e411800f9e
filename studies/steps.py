"""Steps and samplers: how good after how many network calls, and after how many seconds?

python -m studies.steps [--quick]

A thin model, a run of the first stage of configs/mnist_fast.py, with its own w and guidance interval. A step inside the
interval calls the network on two images, a step outside it on one: both are counted. A thousand steps are DDPM's own,
and no other sampler is given them.
"""

from collections.abc import Sequence

import numpy as np

from keras_ddpm import presets, samplers
from keras_ddpm.config import SamplingConfig
from keras_ddpm.data import pictures
from keras_ddpm.generator import Generator
from keras_ddpm.guidance import within
from studies import study

N = 2000
STEPS = (5, 10, 20, 50, 100, 1000)
DDPM_ALONE = 1000
"""From this number of steps on, nothing but DDPM draws."""
SAMPLERS = {name: sampler for name, sampler in samplers.SAMPLERS.items() if name != "consistency"}
"""Those that solve the diffusion; `consistency` is for networks that were tuned to draw in a few calls."""


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    sampling = options.sampling()
    steps = (2, 5) if options.quick else STEPS
    results = study.Results("steps", options, n=judge.n, **options.model())
    results.row("real", judge.real)
    for i, count in enumerate(steps):
        for seed in options.seeds():
            for sampler in samplers_of(count):
                name = f"{sampler} {count} seed={seed}"
                results.row(name, measure, judge, options.preset, sampling, sampler, count, seed)
        plot(results, steps[: i + 1], options)


def samplers_of(count: int) -> Sequence[str]:
    """The samplers that draw in `count` steps."""
    return tuple(SAMPLERS) if count < DDPM_ALONE else ("ddpm",)


def plot(results: study.Results, steps: Sequence[int], options: study.Options) -> None:
    """Plot each sampler's Fréchet distance, the mean of the seeds, against the network calls."""
    rows = results.content["rows"]

    def mean(figure: str, sampler: str, count: int) -> float:
        if sampler not in samplers_of(count):
            return np.nan
        return study.spread([rows[f"{sampler} {count} seed={seed}"] for seed in options.seeds()], figure)[0]

    calls = [mean("calls", "ddpm", count) for count in steps]  # alike for all samplers
    curves = {sampler: [mean("frechet_distance", sampler, count) for count in steps] for sampler in SAMPLERS}
    curves["real"] = [rows["real"]["frechet_distance"]] * len(steps)
    labels = {"x_label": "network calls for an image", "y_label": "Fréchet distance"}
    pictures.plot_curves(results.picture("frechet_distance"), calls, curves, **labels, x_scale="log", y_scale="linear")


def measure(
    judge: study.Judge, preset: str, sampling: SamplingConfig, sampler: str, steps: int, seed: int
) -> study.Figures:
    """Figures of one sampler with a number of steps, the network calls of an image and its seconds."""
    generator = presets.load_preset(preset, sampler=sampler, steps=steps)
    images, seconds = study.draw(generator, judge.labels, sampling.w, seed=seed * judge.n)
    spent = calls(generator, sampling.w, sampling.guidance_interval)
    return {**judge.figures(images), "calls": spent, "seconds": seconds / judge.n}


def calls(generator: Generator, w: float, interval: tuple[float, float] | None, *, guide: float = 1) -> float:
    """Network calls for one image: one a step, and `guide` more in each that is guided."""
    strength = within(interval, generator.diffusion)(np.float32(w), generator.times)
    guided = np.broadcast_to(strength, generator.times.shape) != 1
    return len(guided) + guide * int(guided.sum())


if __name__ == "__main__":
    study.main(run, __doc__, study.ThinOptions)
