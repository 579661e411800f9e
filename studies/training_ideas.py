"""The report's ideas for training: do a curriculum, a perceptual loss or a discriminator help, at equal compute?

python -m studies.training_ideas [--quick]

Every arm trains the network of `mnist_fast`'s first stage on a third of MNIST, three times, for about as long as six
epochs of plain training take on a CPU: an epoch with the perceptual loss costs about 1.5 of them, one with a
discriminator about 2 (`python -m benchmarks.training --configs diffusion perceptual diffusion_gan --precisions
float32`), so these arms have fewer. The perceptual loss tunes a model that was trained plainly for half of the time.
All draw by the default model's sampler: with its own w and without guidance, and in 5 steps, where an estimate that is
no mean could be an advantage.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from configs import mnist_fast
from keras_ddpm import presets
from keras_ddpm.config import Config
from studies import study, trainings

N = 2000
TRAIN_IMAGES = 18_000
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
DRAWN = {"own": {}, "w=1": {"w": 1.0}, "5 steps": {"steps": 5}}
"""Name -> fields of the sampling that differ from the default model's."""


def stages(name: str, seed: int, options: study.Options) -> tuple[Config, ...]:
    """The configurations of an arm.

    Args:
        name: Key of `ARMS`.
        seed: Seed of the training.
        options: `study.Options`.
    """
    base = mnist_fast.get_config()[0]
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, train_images=TRAIN_IMAGES))
    if options.quick:
        base = dataclasses.replace(
            base,
            data=dataclasses.replace(base.data, train_images=640, validation_images=100),
            network=dataclasses.replace(base.network, widths=(8, 8), depths=(1, 1), embed_dim=8, heads=2),
        )
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, dataset=options.dataset))
    made = []
    for i, changes in enumerate(ARMS[name]):
        training = dataclasses.replace(base.training, seed=seed, grid_every=0, **changes)
        training = dataclasses.replace(training, epochs=1) if options.quick else training
        made.append(dataclasses.replace(base, name=f"stage_{i}", training=training))
    return tuple(made)


def plain_epochs(name: str) -> float:
    """Epochs of plain training that take as long as an arm's."""
    return sum(stage["epochs"] * COST.get(stage.get("objective", "diffusion"), 1.0) for stage in ARMS[name])


def train(name: str, seed: int, options: study.Options) -> pathlib.Path | None:
    """Train an arm, or what is left of it; see `trainings.train`."""
    return trainings.train(stages(name, seed, options), options.trainings / f"ideas_{name}_seed{seed}", options)


def run(options: study.Options, names: Sequence[str] = tuple(ARMS)) -> None:
    judge = study.Judge(options, options.count(N))
    own = dataclasses.replace(options.sampling(), **({"steps": 5} if options.quick else {}))
    settings = {"sampling": dataclasses.asdict(own), "arms": ARMS, "drawn": DRAWN}
    results = study.Results("training_ideas", options, n=judge.n, **settings)
    results.row("real", judge.real)
    for seed in options.seeds():
        for name in names:
            folder = train(name, seed, options)
            for how, changes in DRAWN.items() if folder else ():
                picture = results.picture(f"{name}_{how.replace(' ', '_')}") if seed == 0 else None
                drawn = dataclasses.asdict(own) | changes
                results.row(f"{name} {how} seed={seed}", measure, folder, judge, drawn, seed, picture)


def measure(
    folder: pathlib.Path, judge: study.Judge, sampling: dict, seed: int, picture: pathlib.Path | None
) -> study.Figures:
    """Figures of what a run draws, and its last validation loss."""
    generator = presets.load_preset(folder, **sampling)
    images, seconds = study.draw(generator, judge.labels, sampling["w"], seed=seed * judge.n)
    if picture:
        study.grid(picture, images, judge.labels)
    return {**judge.figures(images), "seconds": seconds, "val_loss": trainings.log(folder)[-1]["val_loss"]}


if __name__ == "__main__":
    study.main(run, __doc__)
