"""When is a digit gone, and when is it back? A classifier along the forward and the reverse process.

python -m studies.recognition [--quick]

The classifier learned clean digits. For the reverse process it reads the state x_t, and the x_0 estimate made from it:
what a viewer of a film of denoising could see at that moment, and what the network knows already.
"""

import dataclasses

import numpy as np

from keras_ddpm import pictures, presets, process
from keras_ddpm.evaluation import plots
from keras_ddpm.evaluation.report import recognition_section
from keras_ddpm.whole import write_text
from studies import arms, study

N, STEPS = 200, 100
MODELS = {"report": "report", "default": None, "all_v": "all_v"}


def run(options):
    judge = study.Judge(options, options.count(N))
    steps = 10 if options.quick else STEPS
    results = study.Results("recognition", options, n=judge.n, sampler="ddpm", steps=steps, **options.model())
    for seed in options.seeds():
        for name, arm in MODELS.items():
            picture = results.picture(f"{name}_film") if seed == 0 else None
            work = (arms.trained, recognise, arm, options) if arm else (recognise, options.preset)
            row = results.row(f"{name} seed={seed}", *work, judge, steps, seed, picture)
            if row and seed == 0:
                draw(results, name, row)


def draw(results, name, first):
    """The curves of a model's first seed."""
    for process_name, label in (("forward", "share of the noise steps"), ("reverse", "share of the denoising")):
        svg = plots.curves_plot(first[process_name], x_label=label, claim=CLAIMED[process_name])
        write_text(results.picture(f"{name}_{process_name}").with_suffix(".svg"), svg)


CLAIMED = {"forward": "gone_at", "reverse": "readable_at"}


def recognise(folder, judge, steps, seed, picture):
    """Accuracy and F1 per digit along both processes, of one seed; a film of one digit into `picture`, if given."""
    if picture:
        film(picture, judge, folder, steps)
    sampling = presets.read_config(folder)[0].sampling
    recording = recorder(folder, steps)
    path = recording.sample(judge.labels, sampling.w, seed * judge.n + np.arange(judge.n))
    found = process.frames(path, judge.labels, times=recording.times, T=recording.diffusion.T)
    forward = process.noised(judge.test[0][: judge.n], judge.labels, recording.diffusion, seed=seed)
    return {"w": sampling.w, **recognition_section({"forward": forward, **found})}


def recorder(folder, steps):
    """A run's own sampling, by DDPM with so many steps, keeping the path."""
    sampling = dataclasses.replace(presets.read_config(folder)[0].sampling, sampler="ddpm", steps=steps)
    return process.recorder(presets.load_preset(folder), sampling)


def film(path, judge, folder, steps):
    """A picture: a real 2 at every tenth step of the noise, a drawn 2 on its way back, and the estimates of x_0."""
    recording = recorder(folder, steps)
    two = int(np.flatnonzero(judge.labels == 2)[0])
    forward, _, _ = process.noised(judge.test[0][two : two + 1], judge.labels[two : two + 1], recording.diffusion)
    w = presets.read_config(folder)[0].sampling.w
    drawn = recording.sample(judge.labels[two : two + 1], w, np.array([2]))
    back = process.frames(drawn, [2], times=recording.times, T=recording.diffusion.T)
    rows = (forward, back["reverse"][0], back["estimate"][0])
    strips = [frames[:: max(1, len(frames) // 10)][:11, 0] for frames in rows]
    count = min(map(len, strips))
    images = np.concatenate([strip[:count] for strip in strips])
    pictures.write_png(path, pictures.grid(images, columns=count, scale=2))


if __name__ == "__main__":
    study.main(run, __doc__)
