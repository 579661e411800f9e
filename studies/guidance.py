"""Guidance: what does w buy, and what does it cost? And does a w for each digit help?

python -m studies.guidance [--quick]

The default model, guided at every noise level (by default it is guided in an interval only), with w from 0 to 10 and
three seeds. The w of each digit is chosen on these seeds and judged on others, beside one w for all and beside the
default model itself; the preset mnist_w_of_digit has the w of each digit.
"""

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import pictures
from studies import study
from studies.steps import calls

N = 200
WS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0)
PLOTTED = ("accuracy", "precision", "recall", "sharp", "white")


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    steps = 5 if options.quick else None  # None: the preset's own
    generator = presets.load_preset(options.preset, guidance_interval=None, steps=steps)
    seeds = options.seeds()
    ws = (1.0, 3.0) if options.quick else WS
    results = study.Results("guidance", options, n=judge.n, steps=len(generator.times), **options.model())
    results.row("real", judge.real)

    def figures(generator, w, seed, picture=None):
        images, seconds = study.draw(generator, judge.labels, w, seed=seed * judge.n)
        if picture:
            study.grid(results.picture(picture), images, judge.labels)
        return {**judge.figures(images), "seconds": seconds}

    def guided(w, seed):
        return results.row(f"w={w:g} seed={seed}", figures, generator, w, seed, None if seed else f"w{w:g}")

    by_seed = [{w: guided(w, seed) for w in ws} for seed in seeds]
    sweep = {w: [rows[w] for rows in by_seed] for w in ws}
    curves = {name: [study.spread(rows, name)[0] for rows in sweep.values()] for name in PLOTTED}
    real = results.content["rows"]["real"]["diversity"]
    curves["diversity / real"] = [study.spread(rows, "diversity")[0] / real for rows in sweep.values()]
    pictures.plot_curves(results.picture("sweep"), ws, curves, x_label="w", y_label="share", y_scale="linear")

    of_digit = best_w(sweep)
    own, default = options.sampling().w, presets.load_preset(options.preset, steps=steps)
    results.note("w_of_digit", of_digit)
    results.note("default_calls", calls(default, own, options.sampling().guidance_interval))
    for seed in (len(seeds) + s for s in seeds):  # seeds that had no part in the choice
        picture = "w_of_digit" if seed == len(seeds) else None
        results.row(f"of digit seed={seed}", figures, generator, of_digit[judge.labels], seed, picture)
        for w in (1.0, own):
            results.row(f"one w={w:g} seed={seed}", figures, generator, w, seed)
        results.row(f"default seed={seed}", figures, default, own, seed)


def best_w(sweep: dict[float, list[study.Figures]]) -> np.ndarray:
    """For each digit the smallest w >= 1 with the most right digits: float32 (10,)."""
    candidates = [w for w in sweep if w >= 1]
    right = np.array([np.mean([row["accuracy_of_digit"] for row in sweep[w]], axis=0) for w in candidates])  # (w, 10)
    return np.array(candidates, "float32")[right.argmax(axis=0)]


if __name__ == "__main__":
    study.main(run, __doc__)
