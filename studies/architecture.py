"""What do self-attention, depth, width and distorted images give, at equal compute, and how to bound the estimate?

python -m studies.architecture [--quick]

Every arm trains the network of `mnist_fast`'s first stage on a third of MNIST, three times, for about as long as six
epochs of that network take on a CPU. It has self-attention at 7 x 7 pixels, two levels of 32 and 64 channels, and one
and two blocks a level. An epoch without attention takes about 0.86 times as long, one with twice the blocks 1.65 times,
one with 1.5 times the channels 1.67 times, so these arms have seven, four and four: the larger ones have about a tenth
more compute. These ratios are from 76 train steps each in float32, the networks taking turns, on two busy cores;
`python -m benchmarks.training.speed --configs diffusion without_attention deeper wider --precisions float32`, which
measures one after the other, gave 0.80, 1.64 and 1.72 for `fit` there. Distorting the images takes 1 % of a step.

All draw by the default model's sampler, whose estimate of x_0 is cut to [-1, 1]. The network with attention also draws
with an estimate that is not cut, and with dynamic thresholding, which both matter most if guidance is strong: also with
w = 3 at all noise levels.
"""

import pathlib
from collections.abc import Sequence

from keras_ddpm.config import Config
from studies import short_trainings, study, trainings
from studies.short_trainings import Changes, Drawn

BASE = "attention"
SHORT = {"warmup_steps": 100}
"""Changed for every arm: four epochs are 560 steps, of which the base's warm-up would take 500."""
ARMS: dict[str, Changes] = {
    "plain": {"network": {"attention": (False, False)}, "training": {**SHORT, "epochs": 7}},
    BASE: {"training": SHORT},
    "distorted": {"data": {"augmentation": "distort"}, "training": SHORT},
    "deeper": {"network": {"depths": (2, 4)}, "training": {**SHORT, "epochs": 4}},
    "wider": {"network": {"widths": (48, 96)}, "training": {**SHORT, "epochs": 4}},
}
"""Name -> what differs from the base, which has self-attention."""
COST = {"plain": 0.86, "deeper": 1.65, "wider": 1.67}
"""Name -> epochs of the base that one of its epochs takes as long as; 1 if not said."""
OWN: Drawn = {"own": {}}
THRESHOLDS: Drawn = {
    **OWN,
    "unclipped": {"threshold": "none"},
    "dynamic": {"threshold": "dynamic"},
    "w=3": {"w": 3.0, "guidance_interval": None},
    "w=3 unclipped": {"w": 3.0, "guidance_interval": None, "threshold": "none"},
    "w=3 dynamic": {"w": 3.0, "guidance_interval": None, "threshold": "dynamic"},
}
DRAWN = {name: THRESHOLDS if name == BASE else OWN for name in ARMS}
"""Name -> how it draws."""


def configuration(name: str, seed: int, options: study.Options) -> Config:
    """The configuration of an arm.

    Args:
        name: Key of `ARMS`.
        seed: Seed of the training.
        options: `study.Options`.
    """
    return short_trainings.configuration(name, ARMS[name], seed, options)


def base_epochs(name: str) -> float:
    """Epochs of the base that take as long as an arm's."""
    return configuration(name, 0, study.Options()).training.epochs * COST.get(name, 1.0)


def train(name: str, seed: int, options: study.Options) -> pathlib.Path | None:
    """Train an arm, or what is left of it; see `trainings.train`."""
    folder = options.trainings / f"architecture_{name}_seed{seed}"
    return trainings.train(configuration(name, seed, options), folder, options)


def run(options: study.Options, names: Sequence[str] = tuple(ARMS)) -> None:
    ways = {name: DRAWN[name] for name in names}
    short_trainings.run("architecture", train, ways, options, arms=ARMS, drawn=DRAWN)


if __name__ == "__main__":
    study.main(run, __doc__)
