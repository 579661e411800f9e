"""Steps and samplers: how good after how many network calls, and after how many seconds?

python -m studies.steps [--quick]

The default model with its own w and guidance interval. A step inside the interval calls the network on two images,
one outside on one: both are counted.
"""

import numpy as np

from keras_ddpm import pictures, presets
from keras_ddpm.guidance import ALWAYS, within
from keras_ddpm.samplers import SAMPLERS
from studies import study

N = 200
STEPS = (5, 10, 20, 50, 100, 1000)


def run(options):
    judge = study.Judge(options, options.count(N))
    sampling = presets.read_config(options.preset)[0].sampling
    steps = (2, 5) if options.quick else STEPS
    results = study.Results("steps", options, n=judge.n, w=sampling.w, steps=steps)
    results.row("real", judge.real)
    for count in steps:
        for sampler in SAMPLERS:
            results.row(f"{sampler} {count}", measure, judge, options.preset, sampling, sampler, count)
    rows = results.content["rows"]
    for figure in ("frechet_distance", "accuracy"):
        curves = {sampler: [rows[f"{sampler} {count}"][figure] for count in steps] for sampler in SAMPLERS}
        pictures.plot_curves(
            results.picture(figure),
            steps,
            {**curves, "real": [rows["real"][figure]] * len(steps)},
            x_label="steps",
            y_label=figure,
            x_scale="log",
            y_scale="log" if figure == "frechet_distance" else "linear",
        )


def measure(judge, preset, sampling, sampler, steps):
    """Figures of one sampler with so many steps, the network calls of an image and the seconds."""
    generator = presets.load_preset(preset, sampler=sampler, steps=steps)
    images, seconds = study.draw(generator, judge.labels, sampling.w)
    return {**judge.figures(images), "calls": calls(generator, sampling), "seconds": seconds / judge.n}


def calls(generator, sampling):
    """Network calls for one image: one a step, two where guided."""
    strength = within(sampling.guidance_interval or ALWAYS, generator.diffusion)
    return int(len(generator.times) + (np.array(strength(sampling.w, generator.times)) != 1).sum())


if __name__ == "__main__":
    study.main(run, __doc__)
