"""A training of a study: what is left of it is done, and a run of another configuration is never taken for it."""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np

import keras_ddpm
from keras_ddpm.config import Config, TrainingConfig, from_json
from keras_ddpm.training import callbacks
from studies.study import Options


def train(wanted: Config | Sequence[Config], folder: pathlib.Path, options: Options, **given) -> pathlib.Path | None:
    """Train a model, or what is left of it.

    Args:
        wanted: The configuration, or those of a recipe's stages.
        folder: Of the run.
        options: `study.Options`.
        **given: What else `keras_ddpm.train` takes, such as `data`.

    Returns:
        The folder of the finished run; None if it is not finished and `options.train` is off.

    Raises:
        ValueError: if the folder holds a run of another configuration, or one of its stages does.
    """
    stages = [wanted] if isinstance(wanted, Config) else list(wanted)
    folders = [*(folder / stage.name for stage in stages[:-1]), folder]
    for run, stage in zip(folders, stages, strict=True):
        there = (run / callbacks.STATE).is_file() or log(run)
        if there and from_json((run / "config.json").read_text()) != stage:
            raise ValueError(f"{run} holds a run of another configuration. Move it away, or choose another --runs")
    if not ended(log(folder), stages[-1].training):
        if not options.train:
            return None
        keras_ddpm.train(wanted, folder, resume=True, **given)  # from its beginning, if no epoch is done
    return folder


def ended(rows: list[dict[str, float]], training: TrainingConfig) -> bool:
    """Whether a training has nothing left to do: its epochs are over, or its patience is exhausted."""
    losses = [row["val_loss"] for row in rows]
    late = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
    patience = training.stop_patience
    return len(rows) >= training.epochs or (patience is not None and late >= patience)


def log(folder: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a run's log; empty if there is none."""
    path = pathlib.Path(folder) / "log.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
