"""Ablations: what does each part add to the mended model?

python -m studies.ablations [--quick]

The base is the report's network with all causes mended and v predicted; every row takes one part away or adds one. All
are trained equally long and sampled alike: DDPM with 100 steps, with w = 3 and with w = 1. What the report proposes is
trained three more times, with other seeds and without looking at a test image (see `studies.arms`): rows of these seeds
are compared with each other alone.
"""

from studies import arms, study
from studies.configuration import N, measure, measure_all

SETTINGS = {
    "all_v": ("all_v", {}),
    "no_time": ("no_time", {}),
    "class_at_bottleneck": ("class_at_bottleneck", {}),
    "p_uncond_0": ("p_uncond_0", {}),
    "p_uncond_0.3": ("p_uncond_0.3", {}),
    "attention": ("attention", {}),
    "augmentation": ("augmentation", {}),
    "dynamic": ("all_v", {"threshold": "dynamic"}),
    "unclipped": ("all_v", {"threshold": "none"}),
}
PROPOSED = {name: SETTINGS[name] for name in ("all_v", "attention", "augmentation", "dynamic", "unclipped")}
PROPOSED |= {"deeper": ("deeper", {}), "wider": ("wider", {})}


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    results = study.Results("ablations", options, n=judge.n, epochs=arms.epochs("all_v", options))
    results.row("real", judge.real)
    measure_all(results, SETTINGS, judge, options)
    for name, (arm, sampling) in PROPOSED.items():
        for seed in options.again(arms.AGAIN[arm]):
            picture = results.picture(f"{name}_w3") if name not in SETTINGS and seed == 1 else None
            work = (arms.trained, measure, f"{arm}_seed{seed}", options)
            results.row(f"{name} w=3 seed={seed}", *work, judge, 3.0, picture, sampling, seed)


if __name__ == "__main__":
    study.main(run, __doc__)
