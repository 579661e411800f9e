"""Ablations: what does each part add to the mended model?

python -m studies.ablations [--quick]

The base is the report's network with all causes mended and v predicted; every row takes one part away or adds one. All
are trained equally long and sampled alike: DDPM with 100 steps, with w = 3 and with w = 1.
"""

from studies import arms, study
from studies.configuration import N, measure_all

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


def run(options: study.Options) -> None:
    judge = study.Judge(options, options.count(N))
    results = study.Results("ablations", options, n=judge.n, epochs=arms.epochs("all_v", options))
    results.row("real", judge.real)
    measure_all(results, SETTINGS, judge, options)


if __name__ == "__main__":
    study.main(run, __doc__)
