"""Autoguidance: is a weaker copy a better guide than the model without its label?

python -m studies.autoguidance [--quick]

A thin model, a run of the first stage of configs/mnist_fast.py, is guided away from its own unconditional prediction
(classifier-free), or away from a weaker network under the same label (autoguidance), at all noise levels or in the
model's interval. The weaker network has the same size and an eighth of the training: the arm "plain" of
`python -m studies.training_ideas`. `calls` counts calls of the guided network for an image; one of the weaker network
counts as its share of the parameters.
"""

import dataclasses

from keras_ddpm import presets
from studies import study
from studies.steps import calls

N = 2000
WS = (1.5, 2.0, 3.0)


@dataclasses.dataclass(frozen=True)
class Options(study.ThinOptions):
    weak: str = "runs/studies/ideas_plain_seed0"
    """The weaker network: a run's folder."""


def run(options: Options) -> None:
    judge, own = study.Judge(options, options.count(N)), options.sampling()
    weak = {"guidance": "autoguidance", "weak": options.weak}
    kinds = {"classifier-free": {}, "autoguidance": weak}
    steps = 5 if options.quick else None
    share = presets.load_network(options.weak).count_params() / presets.load_network(options.preset).count_params()
    settings = {"steps": steps or own.steps, "weak": presets.fingerprint(options.weak), **options.model()}
    results = study.Results("autoguidance", options, n=judge.n, **settings)
    results.row("real", judge.real)

    def figures(sampling, w, seed, picture):
        generator = presets.load_preset(options.preset, steps=steps, **sampling)
        images, seconds = study.draw(generator, judge.labels, w, seed=seed * judge.n)
        if picture:
            study.grid(results.picture(picture), images, judge.labels)
        guide = 1.0 if sampling.get("guidance") is None else share
        spent = calls(generator, w, sampling.get("guidance_interval"), guide=guide)
        return {**judge.figures(images), "seconds": seconds, "calls": spent}

    for seed in options.seeds():
        results.row(f"none w=1 seed={seed}", figures, {}, 1.0, seed, None)
        for kind, sampling in kinds.items():
            for interval in (None, own.guidance_interval):
                for w in WS[-1:] if options.quick else WS:
                    where = "everywhere" if interval is None else "in the interval"
                    name = f"{kind} {where} w={w:g}"
                    picture = None if seed else name.replace(" ", "_")
                    given = (sampling | {"guidance_interval": interval}, w, seed, picture)
                    results.row(f"{name} seed={seed}", figures, *given)


if __name__ == "__main__":
    study.main(run, __doc__, Options)
