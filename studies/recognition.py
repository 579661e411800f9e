"""When is a digit gone, and when is it back? A classifier along the forward and the reverse process.

python -m studies.recognition [--quick]

The classifier was trained on clean digits. Along the reverse process it reads the state x_t, which is what a viewer of
the film would see at that moment, and the estimate of x_0 made from it, which is what the network knows by then.
"""

import pathlib

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import pictures
from keras_ddpm.evaluation import drawing
from keras_ddpm.evaluation.measure import recognition_section
from keras_ddpm.evaluation.page import plots
from keras_ddpm.evaluation.probes.frames import Frames, forward_frames, reverse_frames
from keras_ddpm.generator import Generator
from keras_ddpm.saving.files import write_text
from studies import arms, study

N, STEPS = 200, 100
MODELS = {"report": "report", "default": None, "all_v": "all_v"}


def run(options: study.Options) -> None:
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


def draw(results: study.Results, name: str, first: study.Figures) -> None:
    """Plot the curves of a model's first seed."""
    for process_name, label in (("forward", "share of the noise steps"), ("reverse", "share of the denoising")):
        svg = plots.curves_plot(first[process_name], x_label=label, claim=CLAIMED[process_name])
        write_text(results.picture(f"{name}_{process_name}").with_suffix(".svg"), svg)


CLAIMED = {"forward": "gone_at", "reverse": "readable_at"}


def recognise(
    folder: pathlib.Path | str, judge: study.Judge, steps: int, seed: int, picture: pathlib.Path | None
) -> study.Figures:
    """Accuracy and F1 per digit along both processes, for one seed; a film of one digit goes to `picture`, if given."""
    if picture:
        film(picture, judge, folder, steps)
    generator = presets.load_preset(folder, sampler="ddpm", steps=steps)
    w = presets.read_config(folder)[0].sampling.w
    found = both_ways(generator, judge.test[0][: judge.n], judge.labels, w, seed=seed, first=seed * judge.n)
    return {"w": w, **recognition_section(found)}


def both_ways(
    generator: Generator, images: np.ndarray, labels: np.ndarray, w: float, *, seed: int, first: int
) -> dict[str, Frames]:
    """Frames of the forward process of real images, and of the reverse process of as many drawn ones.

    Args:
        generator: `Generator`.
        images, labels: uint8 (N, 28, 28, 1) and int (N,), real.
        w: Guidance.
        seed: Of the forward process's noise.
        first: Seed of the first drawn image.

    Returns:
        dict of `forward`, `reverse` and `estimate`.
    """
    path = drawing.draw_path(generator, labels, np.full(len(labels), w), first + np.arange(len(labels)))
    levels = drawing.levels(generator)
    forward = forward_frames(images, labels, generator.diffusion.add_noise, levels=levels, seed=seed)
    return {"forward": forward, **reverse_frames(path, labels, times=generator.times)}


def film(path: pathlib.Path, judge: study.Judge, folder: pathlib.Path | str, steps: int) -> None:
    """Write a picture: a real 2 at every tenth step of the noise, a drawn 2 on its way back, the estimates of x_0."""
    generator = presets.load_preset(folder, sampler="ddpm", steps=steps)
    two = int(np.flatnonzero(judge.labels == 2)[0])
    w, one = presets.read_config(folder)[0].sampling.w, slice(two, two + 1)
    found = both_ways(generator, judge.test[0][one], judge.labels[one], w, seed=0, first=2)
    rows = [found[name].images for name in ("forward", "reverse", "estimate")]
    strips = [frames[:: max(1, len(frames) // 10)][:11, 0] for frames in rows]
    count = min(map(len, strips))
    images = np.concatenate([strip[:count] for strip in strips])
    pictures.write_png(path, pictures.grid(images, columns=count, scale=2))


if __name__ == "__main__":
    study.main(run, __doc__)
