"""Callbacks: numerical health, resumable state and pictures. The rest is Keras's own."""

import csv
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.data import pictures, to_uint8
from keras_ddpm.presets import WEIGHTS
from keras_ddpm.saving.files import write_text
from keras_ddpm.saving.weights import read_state, read_weights, write_weights

STATE = "state.weights.h5"
DECISIONS = ("wait", "best", "best_epoch", "cooldown_counter")


def for_run(
    config: Any,
    out,
    shown: Sequence[keras.callbacks.Callback],
    *,
    writes: bool = True,
    alone: Callable = lambda callback: callback,
) -> tuple[list[keras.callbacks.Callback], "ResumableState"]:
    """The callbacks of a training run.

    Args:
        config: `Config`.
        out: Folder of the run.
        shown: Callbacks that show what is trained, such as `drawing`.
        writes: Whether this process writes the run; of several that train together only one does.
        alone: Function of a callback that writes -> one that works outside of a distribution over several devices.

    Returns:
        List of callbacks, and the `ResumableState`, which is among them if the process writes or resumes.
    """
    training = config.training
    keep = BestWeights if training.objective in ("diffusion", "autoencoder") else LastWeights
    run: list[keras.callbacks.Callback] = [StopOnNonFinite()]
    if writes:
        run.append(alone(keep(out / WEIGHTS)))
    if training.plateau_patience is not None:
        run.append(keras.callbacks.ReduceLROnPlateau(patience=training.plateau_patience, verbose=int(writes)))
    if training.stop_patience is not None:
        run.append(keras.callbacks.EarlyStopping(patience=training.stop_patience, verbose=int(writes)))
    state = ResumableState(out / STATE, run[1:], log=out / "log.csv", writes=writes)
    if not writes:
        return [*run, state], state
    logs = [
        *shown,
        keras.callbacks.CSVLogger(out / "log.csv", append=True),
        keras.callbacks.TensorBoard(out / "tensorboard", write_graph=False),
        LossCurve(out / "log.csv", out / "loss.png"),
    ]
    return [*run, *map(alone, logs), alone(state)], state


def drawing(config: Any, out, generator) -> list[keras.callbacks.Callback]:
    """What shows a generator in training: evaluations, whose figures later callbacks log, and grids of samples.

    Args:
        config: `Config`.
        out: Folder of the run.
        generator: `Generator` of the averaged weights.

    Raises:
        ValueError: if the configuration's `w` is neither one number nor one for each class, or the judge of its
            evaluations knows other images.
    """
    w, training = w_of_class(config.sampling.w, generator.network.num_classes), config.training
    shown: list[keras.callbacks.Callback] = []
    if training.evaluate_every:
        from keras_ddpm.evaluation.callback import EvaluateDuringTraining
        from keras_ddpm.evaluation.sources import check_kind

        settings = {"every": training.evaluate_every, "judge": training.judge}
        evaluation = EvaluateDuringTraining(generator, w, config.data.dataset, **settings)
        check_kind(generator.image_shape, generator.network.num_classes, evaluation.kind)
        shown.append(evaluation)
    if training.grid_every:
        shown.append(SampleGrid(generator, w, out / "grids", every=training.grid_every))
    return shown


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises as soon as the loss is NaN or infinite, naming the step; checkpoints keep the last good state."""

    def on_train_batch_end(self, batch: Any, logs: Any = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not np.isfinite(loss):
            step = int(self.model.optimizer.iterations)
            raise FloatingPointError(
                f"The loss became {loss} at step {step}. The checkpoints of the last good epoch are kept. Train again "
                "with a lower `learning_rate`, or with `precision` 'float32'."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_train_batch_end(None, {"loss": (logs or {}).get("val_loss", 0.0)})  # the last update is seen here only


class ResumableState(keras.callbacks.Callback):
    """Writes, after each epoch, everything that the next one depends on, into one file and in one move.

    Weights, average, optimizer and random state are the model's; the epoch and what other callbacks have counted
    (patience, best value) go with them as JSON.

    Args:
        path: File to write, ending in `.weights.h5`.
        callbacks: Callbacks whose counters are to be kept.
        log: CSV log of the run, or None; rows of epochs that have to be done again are taken out of it.
        writes: False to read only, in a process that trains together with one that writes.
    """

    def __init__(self, path, callbacks=(), *, log=None, writes=True):
        super().__init__()
        self.path, self.callbacks, self.log, self.writes = pathlib.Path(path), list(callbacks), log, writes
        self.kept = {}

    def on_train_begin(self, logs: Any = None) -> None:
        for callback in self.callbacks:  # Keras has just reset them; this callback comes last
            vars(callback).update(self.kept.get(type(callback).__name__, {}))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.writes:
            return
        self.kept = {
            type(c).__name__: {k: _plain(v) for k, v in vars(c).items() if k in DECISIONS} for c in self.callbacks
        }
        random = [np.asarray(state).tolist() for state in _random_states(self.model)]
        write_weights(self.model, self.path, state={"epoch": epoch + 1, "callbacks": self.kept, "random": random})

    def restore(self, model) -> int:
        """Load the state into a compiled model.

        Returns:
            int: the epoch to continue with, 0 if there is no state yet.

        Raises:
            ValueError: if the file is damaged, or of another network.
        """
        if not self.path.exists():
            self._shorten_log(0)
            return 0
        model.optimizer.build(model.trainable_variables)
        state = read_weights(model, self.path)
        if not {"epoch", "callbacks", "random"} <= set(state):
            raise ValueError(f"{str(self.path)!r} holds weights, but no state of a training run")
        self.kept = state["callbacks"]
        for variable, value in zip(_random_states(model), state["random"]):
            variable.assign(value)
        self._shorten_log(state["epoch"])
        return state["epoch"]

    def _shorten_log(self, epochs):
        """Keep the rows of the finished epochs: a killed run may have logged one whose state it did not write."""
        if self.log is None or not self.log.exists() or not self.writes:
            return
        head, *rows = self.log.read_text().splitlines(keepends=True) or [""]
        kept = [row for row in rows if int(row.split(",")[0]) < epochs]
        if len(kept) < len(rows):
            write_text(self.log, head + "".join(kept))


class BestWeights(keras.callbacks.Callback):
    """Writes the averaged network's weights whenever the validation loss is the lowest so far.

    Args:
        path: File to write, ending in `.weights.h5`.
    """

    def __init__(self, path):
        super().__init__()
        self.path, self.best = pathlib.Path(path), float("inf")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs["val_loss"] < self.best:
            self.best = float(logs["val_loss"])
            write_weights(self.model.ema_network, self.path, state={"epoch": epoch + 1, "val_loss": self.best})


class LastWeights(keras.callbacks.Callback):
    """Writes the averaged network's weights after each epoch.

    A few-step model's validation loss does not tell how good its images are; with a learning rate that falls to zero
    the last weights are the best.

    Args:
        path: File to write, ending in `.weights.h5`.
    """

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        write_weights(self.model.ema_network, self.path, state={"epoch": epoch + 1})


class Grid(keras.callbacks.Callback):
    """Writes a grid of images after every few epochs, and after the last.

    Args:
        folder: Where `epoch_NNN.png` goes.
        every: Epochs between two grids.
        columns: Images in a row.
    """

    def __init__(self, folder, *, every: int, columns: int = 10):
        super().__init__()
        self.folder, self.every, self.columns = pathlib.Path(folder), every, columns

    def images(self) -> np.ndarray:
        """The images, float (N, H, W, C) in [-1, 1]."""
        raise NotImplementedError

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every and epoch + 1 != self.params["epochs"]:
            return
        images = self.images()
        self.folder.mkdir(exist_ok=True)
        grid = pictures.grid(to_uint8(images), columns=self.columns)
        pictures.write_png(self.folder / f"epoch_{epoch + 1:03d}.png", grid)


class SampleGrid(Grid):
    """Draws a grid, one row a class, from the averaged weights and always the same seeds.

    Args:
        generator: `Generator` of the averaged weights.
        w: Guidance of each class, float (num_classes,).
        folder, every, columns: See `Grid`; a row is the images of one class.
    """

    def __init__(self, generator, w, folder, **kwargs):
        super().__init__(folder, **kwargs)
        self.generator, self.w = generator, w

    def images(self) -> np.ndarray:
        digit = np.repeat(np.arange(len(self.w)), self.columns)
        return self.generator.sample(digit, self.w[digit], np.arange(digit.size))["image"]


class LossCurve(keras.callbacks.Callback):
    """Plots the CSV log's losses over the epochs, after each epoch.

    Args:
        log: File that `CSVLogger` writes.
        path: PNG to write.
    """

    def __init__(self, log, path):
        super().__init__()
        self.log, self.path = pathlib.Path(log), pathlib.Path(path)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.log.open() as file:
            rows = list(csv.DictReader(file))
        epochs = [int(row["epoch"]) + 1 for row in rows]
        curves = {name: [float(row[name]) for row in rows] for name in rows[0] if "loss" in name}
        pictures.plot_curves(self.path, epochs, curves, x_label="epoch", y_label="loss")


def _random_states(model):
    """The states of all seed generators, which Keras leaves out of a weights file."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def epochs_done(folder: pathlib.Path) -> int:
    """Finished epochs of the run in a folder; 0 if there is none.

    Raises:
        ValueError: if its state is damaged.
    """
    path = pathlib.Path(folder) / STATE
    return read_state(path).get("epoch", 0) if path.exists() else 0


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value
