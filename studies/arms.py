"""The trainings that the studies compare: each is train.py with flags, and differs from its base in one of them.

python -m studies.arms            trains all of them, one after the other; what is there already stays
python -m studies.arms cosine     trains some

The base of `CAUSES` and `SCHEDULES` is the report's configuration; that of `ABLATIONS` is the same with all causes
mended and v predicted. They are all trained for the same number of epochs on the same images. Those of `LONG` are some
of them, trained for longer; those of `AGAIN` are trained three times, with other seeds.
"""

import csv
import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import tyro
from keras_ddpm.arguments import parse_values

from keras_ddpm import callbacks, config, presets
from studies.study import SEEDS, Options

CONFIG = "configs/report.py"
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
AGAIN = ("cosine_v",)
ARMS = {
    **SHORT,
    **LONG,
    **{f"{name}_seed{seed}": f"{SHORT[name]} --seed {seed}" for name in AGAIN for seed in range(1, SEEDS)},
}
QUICK = (
    "--epochs 1 --grid-every 0 --evaluate-every 0 --train-images 640 --validation-images 100 --embed-dim 8 "
    "--widths 8 8 8 8 8 --heads 2"
)


def flags(name, options):
    """The flags of train.py for an arm, a list."""
    return f"--config {CONFIG} {ARMS[name]} {QUICK if options.quick else ''} --dataset {options.dataset}".split()


def epochs(name, options):
    """Epochs of an arm."""
    return parse_values(None, flags(name, options)).values.training.epochs


def command(name):
    """The command that trains an arm, for people."""
    return " ".join(f"python train.py --config {CONFIG} --out runs/studies/{name} {ARMS[name]}".split())


def train(name, options):
    """Train an arm with train.py, or what is left of it.

    Args:
        name: Key of `ARMS`.
        options: `study.Options`.

    Returns:
        The folder of the finished run; None if there is none and `options.train` is off.

    Raises:
        ValueError: if the folder holds a run of another configuration.
    """
    folder = options.trainings / name
    asked, started = flags(name, options), (folder / callbacks.STATE).is_file()
    wanted = parse_values(None, asked).values
    if started and presets.read_config(folder)[0] != wanted:
        raise ValueError(f"{folder} holds a run of another configuration. Move it away, or choose another --runs")
    if not ended(log(folder), wanted.training):
        if not options.train:
            return None
        resume = ["--resume"] if started else []
        subprocess.run([sys.executable, "train.py", *asked, "--out", str(folder), *resume], check=True)
    return folder


def ended(rows, training):
    """Whether a training has nothing left to do: its epochs are over, or its patience was."""
    losses = [row["val_loss"] for row in rows]
    late = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
    patience = training.stop_patience
    return len(rows) >= training.epochs or (patience is not None and late >= patience)


def trained(work, name, options, *args):
    """What `work(folder, *args)` returns for an arm, which is trained first; None if it is not and may not be."""
    folder = train(name, options)
    return None if folder is None else work(folder, *args)


def log(folder):
    """The rows of a run's log, a list of dicts of floats; empty if there is none."""
    path = pathlib.Path(folder) / "log.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    names: tyro.conf.Positional[tuple[str, ...]] = tuple(ARMS)
    """Which to train."""


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    for name in arguments.names:
        config.choose(ARMS, name, "names")
    for name in arguments.names:
        print(f"{name}: {train(name, arguments)}", flush=True)


if __name__ == "__main__":
    main()
