"""The report's ideas for training: do a curriculum, a perceptual loss or a discriminator help, at equal compute?

python -m studies.training_ideas [--quick]

Every arm trains the network of `mnist_fast`'s first stage on a third of MNIST, three times, for about as long as six
epochs of plain training take on a CPU: an epoch with the perceptual loss costs about 1.5 of them, one with a
discriminator about 2 (`python -m benchmarks.training.speed --configs diffusion perceptual diffusion_gan --precisions
float32`), so these arms have fewer. The perceptual loss tunes a model that was trained plainly for half of the time.
All draw by the default model's sampler: with its own w and without guidance, and in 5 steps, where an estimate that is
no mean could be an advantage.
"""

import pathlib
from collections.abc import Sequence

from keras_ddpm.config import Config
from studies import short_trainings, study, trainings

ARMS: dict[str, tuple[dict, ...]] = {
    "plain": ({"epochs": 6},),
    "low_noise_first": ({"epochs": 6, "curriculum": "low_noise_first"},),
    "high_noise_first": ({"epochs": 6, "curriculum": "high_noise_first"},),
    "perceptual": ({"epochs": 3}, {"epochs": 2, "objective": "perceptual", "learning_rate": 5e-4, "warmup_steps": 100}),
    "discriminator": ({"epochs": 3, "objective": "diffusion_gan", "clip_norm": None},),
}
"""Name -> what differs in the training of each of its stages."""
COST = {"perceptual": 1.5, "diffusion_gan": 2.0}
"""Objective -> epochs of plain training that one of its epochs takes as long as."""
DRAWN: short_trainings.Drawn = {"own": {}, "w=1": {"w": 1.0}, "5 steps": {"steps": 5}}
"""How each of them draws."""


def stages(name: str, seed: int, options: study.Options) -> tuple[Config, ...]:
    """The configurations of an arm.

    Args:
        name: Key of `ARMS`.
        seed: Seed of the training.
        options: `study.Options`.
    """
    return tuple(
        short_trainings.configuration(f"stage_{i}", {"training": changes}, seed, options)
        for i, changes in enumerate(ARMS[name])
    )


def plain_epochs(name: str) -> float:
    """Epochs of plain training that take as long as an arm's."""
    return sum(stage["epochs"] * COST.get(stage.get("objective", "diffusion"), 1.0) for stage in ARMS[name])


def train(name: str, seed: int, options: study.Options) -> pathlib.Path | None:
    """Train an arm, or what is left of it; see `trainings.train`."""
    return trainings.train(stages(name, seed, options), options.trainings / f"ideas_{name}_seed{seed}", options)


def run(options: study.Options, names: Sequence[str] = tuple(ARMS)) -> None:
    ways = {name: DRAWN for name in names}
    short_trainings.run("training_ideas", train, ways, options, arms=ARMS, drawn=DRAWN)


if __name__ == "__main__":
    study.main(run, __doc__)
