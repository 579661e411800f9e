"""The trainings that the studies compare: each is a configuration with flags, and differs from its base in one of them.

python -m studies.arms            trains all of them, one after the other; finished ones are kept
python -m studies.arms cosine     trains some

The base of `CAUSES` and `SCHEDULES` is the report's configuration; that of `ABLATIONS` is the same with all causes
mended and v predicted. They are all trained for the same number of epochs on the same images. Those of `LONG` are some
of them, trained for longer; those of `AGAIN` are trained again, with other seeds.

The recorded rows were trained before validation was held out: on all 60,000 training images, with the validation loss
on test images, as in the report. A new training holds out the last 5,000 training images and never sees a test image.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tyro

from keras_ddpm import config, data
from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import parse_values
from studies import trainings
from studies.study import Options

BASE = "--config report"
EPOCHS, MIDDLE_EPOCHS, LONG_EPOCHS = 3, 12, 30
MENDED = "--schedule scaled_linear --conditioning film --ema-decay 0.9995 --threshold static --validation-noise fixed"
MENDED_V = f"{MENDED} --prediction v"
CAUSES = {
    "its_configuration": "",
    "scaled_linear": "--schedule scaled_linear",
    "T1000": "--T 1000",
    "cosine": "--schedule cosine",
    "film": "--conditioning film",
    "ema": "--ema-decay 0.9995",
    "validation": "--validation-noise fixed",
    "all": MENDED,
    "all_v": MENDED_V,
}
SCHEDULES = {
    "linear_v": "--prediction v",
    "scaled_linear_v": "--schedule scaled_linear --prediction v",
    "cosine_v": "--schedule cosine --prediction v",
    "zero_terminal_snr_v": "--schedule zero_terminal_snr --prediction v",
}
ABLATIONS = {
    "no_time": f"{MENDED_V} --conditioning film_label",
    "class_at_bottleneck": f"{MENDED_V} --conditioning film_time",
    "p_uncond_0": f"{MENDED_V} --p-uncond 0",
    "p_uncond_0.3": f"{MENDED_V} --p-uncond 0.3",
    "attention": f"{MENDED_V} --attention False False True True False",
    "augmentation": f"{MENDED_V} --augmentation distort",
}
MIDDLE = f"--epochs {MIDDLE_EPOCHS} --grid-every 0"
LONG = {
    "report": f"--epochs {LONG_EPOCHS} --evaluate-every 5 --grid-every 3",
    "scaled_linear_long": f"{MIDDLE} --schedule scaled_linear",
    "all_long": f"{MIDDLE} {MENDED}",
}
SHORT = {name: f"--epochs {EPOCHS} --grid-every 0 {flags}" for name, flags in (CAUSES | SCHEDULES | ABLATIONS).items()}
AGAIN = {"cosine_v": (1, 2), "linear_v": (1, 2)}
"""Name -> seeds."""
ARMS = {
    **SHORT,
    **LONG,
    **{f"{name}_seed{seed}": f"{SHORT[name]} --seed {seed}" for name in AGAIN for seed in AGAIN[name]},
}
QUICK = (
    "--epochs 1 --grid-every 0 --evaluate-every 0 --train-images 640 --validation-images 100 --embed-dim 8 "
    "--widths 8 8 8 8 8 --heads 2"
)


def configuration(name: str, options: Options) -> config.Config:
    """The configuration of an arm: `BASE` with its flags, which are those of train.py.

    Args:
        name: Key of `ARMS`.
        options: `study.Options`.
    """
    flags = f"{BASE} {ARMS[name]} {QUICK if options.quick else ''} --dataset {options.dataset}"
    return parse_values("", flags.split()).values


def epochs(name: str, options: Options) -> int:
    """Epochs of an arm."""
    return configuration(name, options).training.epochs


def command(name: str) -> str:
    """The command that trains an arm, for people."""
    return f"python -m studies.arms {name}"


def train(name: str, options: Options) -> pathlib.Path | None:
    """Train an arm, or what is left of it; see `trainings.train`.

    Args:
        name: Key of `ARMS`.
        options: `study.Options`.
    """
    return trainings.train(configuration(name, options), options.trainings / name, options)


def validation_images(wanted: config.Config) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels that an arm is validated on: the end of the training split."""
    images, labels, _ = data.load(wanted.data.dataset, "train").hold_out(wanted.data.validation_images)[1]
    return images, labels


def trained(work: Callable, name: str, options: Options, *args) -> Any:
    """What `work(folder, *args)` returns for an arm, which is trained first; None if it may not be trained."""
    folder = train(name, options)
    return None if folder is None else work(folder, *args)


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    names: tyro.conf.Positional[tuple[str, ...]] = tuple(ARMS)
    """Which to train."""


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    for name in arguments.names:
        config.choose(ARMS, name, "names")
    for name in arguments.names:
        print(f"{name}: {train(name, arguments)}", flush=True)


if __name__ == "__main__":
    run(main)
