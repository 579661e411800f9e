"""Short trainings that are compared at equal compute: the network of `mnist_fast`'s first stage, on a third of MNIST.

python -m studies.training_ideas, python -m studies.architecture

All draw by the default model's sampler, and each may draw in other ways too.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from configs import mnist_fast
from keras_ddpm import presets
from keras_ddpm.config import Config
from studies import study, trainings

N = 2000
TRAIN_IMAGES = 18_000
EPOCHS = 6
"""Of the base. What differs from it has as many as take about as long."""

Changes = dict[str, dict[str, Any]]
"""Section of a configuration -> those of its fields that differ from the base's."""
Drawn = dict[str, dict[str, Any]]
"""How an arm draws -> fields of the sampling that differ from the default model's."""
QUICK: Changes = {
    "data": {"train_images": 640, "validation_images": 100},
    "network": {"widths": (8, 8), "depths": (1, 1), "embed_dim": 8, "heads": 2},
}


def configuration(name: str, changes: Changes, seed: int, options: study.Options) -> Config:
    """The configuration of a training.

    Args:
        name: Of the run.
        changes: What differs from the base.
        seed: Of the training.
        options: `study.Options`.
    """
    shared: Changes = {
        "data": {"dataset": options.dataset, "train_images": TRAIN_IMAGES},
        "training": {"epochs": EPOCHS, "seed": seed, "grid_every": 0},
    }
    made = mnist_fast.get_config()[0]
    for some in (shared, QUICK if options.quick else {}, changes, {"training": {"epochs": 1}} if options.quick else {}):
        made = dataclasses.replace(made, **{key: dataclasses.replace(getattr(made, key), **some[key]) for key in some})
    return dataclasses.replace(made, name=name)


def run(
    name: str,
    train: Callable[[str, int, study.Options], pathlib.Path | None],
    ways: dict[str, Drawn],
    options: study.Options,
    **settings: Any,
) -> None:
    """Train arms, and measure what they draw.

    Args:
        name: Of the study.
        train: Function `(arm, seed, options)` that returns the folder of a finished run; None if it is not finished.
        ways: Arm -> how it draws.
        options: `study.Options`.
        **settings: What all rows share beside the default model's sampling.
    """
    judge = study.Judge(options, options.count(N))
    own = dataclasses.replace(options.sampling(), **({"steps": 5} if options.quick else {}))
    results = study.Results(name, options, n=judge.n, sampling=dataclasses.asdict(own), **settings)
    results.row("real", judge.real)
    for seed in options.seeds():
        for arm, drawn in ways.items():
            folder = train(arm, seed, options)
            for how, changes in drawn.items() if folder else ():
                picture = results.picture(f"{arm}_{how.replace(' ', '_')}") if seed == 0 else None
                sampling = dataclasses.asdict(own) | changes
                results.row(f"{arm} {how} seed={seed}", measure, folder, judge, sampling, seed, picture)


def measure(
    folder: pathlib.Path, judge: study.Judge, sampling: dict, seed: int, picture: pathlib.Path | None
) -> study.Figures:
    """Figures of what a run draws, and its last validation loss."""
    generator = presets.load_preset(folder, **sampling)
    images, seconds = study.draw(generator, judge.labels, sampling["w"], seed=seed * judge.n)
    if picture:
        study.grid(picture, images, judge.labels)
    return {**judge.figures(images), "seconds": seconds, "val_loss": trainings.log(folder)[-1]["val_loss"]}
