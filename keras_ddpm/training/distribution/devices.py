"""One batch on many devices: each has all weights and its share of the rows (`keras.distribution.DataParallel`).

The train step stays what it is on one device. XLA computes each mean, norm and random draw over the whole batch, so
gradients, clipping, metrics, noise and dropped labels are those of one device, and a run may be resumed on any number
of them. Batches are split here: all processes go through the data in one order, and each takes its rows of a batch.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_ddpm.config import Devices
from keras_ddpm.networks.call import in_parts
from keras_ddpm.training.distribution.processes import Processes
from keras_ddpm.training.distribution.side_by_side import claim_cores
from keras_ddpm.training.validation import Held

HOOKS = ("set_model", "on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")


class Placement:
    """The devices of a training, in one process or several.

    Args:
        devices: Resolved `Devices`.

    Raises:
        ValueError: if there are fewer devices, or the backend cannot use several.
    """

    def __init__(self, devices: Devices):
        several = devices.devices not in (None, 1) or (devices.processes or 1) > 1
        if several and keras.backend.backend() != "jax":
            raise ValueError(
                "Several devices need the JAX backend: set KERAS_BACKEND=jax. On TensorFlow each replica would clip "
                f"its own gradients and draw the same noise (docs/scale.md). Received: {keras.backend.backend()!r}"
            )
        self.parts = devices.parts
        claim_cores(self.parts)
        self.processes = Processes(devices)
        self.parallel = _parallel(devices.devices) if several else None
        with self.processes.working():
            self.processes.greet()

    @property
    def several(self) -> bool:
        """Whether weights and batches are spread, even if over a single device."""
        return self.parallel is not None

    @property
    def count(self) -> int:
        """Devices that share a batch."""
        return self.parallel.num_model_replicas if self.parallel else 1

    def scope(self) -> contextlib.AbstractContextManager:
        """Within it, variables are kept on all devices, and `fit` spreads its batches, or computes them in parts."""
        return self.parallel.scope() if self.parallel else in_parts(self.parts)

    def outside(self) -> contextlib.AbstractContextManager:
        """Within it, variables are kept on one device again."""
        return _one_device() if self.parallel else contextlib.nullcontext()

    def check(self, training: Any, batches: Any) -> None:
        """Raise unless each batch can be split evenly.

        Args:
            training: `TrainingConfig`.
            batches: What is trained on.

        Raises:
            ValueError: for a batch that is not a multiple of the devices, data of another kind, without XLA, or for a
                precision that is still to be measured; for an autoencoder in parts.
        """
        if self.parts > 1 and training.objective == "autoencoder":
            raise ValueError(f"`parts` are for networks that diffuse, not for an autoencoder. Received: {self.parts}")
        if self.parallel is None:
            return
        if training.precision == "auto":
            raise ValueError("`precision` 'auto' measures one device: name one to train on several")
        if training.jit == "off":
            raise ValueError("Several devices need XLA: `jit` must be 'auto' or 'on'. Received: 'off'")
        if not isinstance(batches, keras.utils.PyDataset):
            raise ValueError(
                "On several devices `data` must be a data set's name, (images, labels) or a PyDataset. "
                f"Received: {type(batches).__name__}"
            )
        rows = len(batches[0][0])
        if rows % self.count:
            raise ValueError(f"`batch_size` must be a multiple of the {self.count} devices. Received: {rows}")

    def share(self, batches: Any) -> Any:
        """Batches of which this process has its rows only; the same batches on one device."""
        return Share(batches, self.rows, self.count) if self.parallel else batches

    def held_out(self, data: Any, batch_size: int) -> Any:
        """Validation data of which this process has its rows only; see `Share`."""
        if self.parallel is None:
            return data
        return self.share(data if isinstance(data, keras.utils.PyDataset) else Held(data[0], batch_size=batch_size))

    def rows(self, total: int) -> slice:
        """The rows of a batch that belong to this process, as JAX lays them out."""
        assert self.parallel is not None
        layout = self.parallel.get_data_layout((total,)).backend_layout
        spans = [place[0].indices(total)[:2] for place in layout.addressable_devices_indices_map((total,)).values()]
        return slice(min(start for start, _ in spans), max(stop for _, stop in spans))

    def alone(self, callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
        """The same callback, whose hooks run outside of the distribution.

        Within it, each new variable is a meeting of all processes; Keras makes some even to save weights.
        """
        for name in HOOKS if self.parallel else ():
            setattr(callback, name, _outside(getattr(callback, name)))
        return callback


class Share(keras.utils.PyDataset):
    """A process's rows of each batch.

    A batch that the devices cannot split evenly - the last one of the validation - is filled up: each batch gets a
    weight for each row as its last part, which is 0 for the rows that fill up. Batches to train on fit, and get none.

    Args:
        batches: PyDataset of whole batches, the same for every process.
        rows: Function of a batch's size -> slice of this process's rows.
        count: Devices that share a batch.
    """

    def __init__(self, batches, rows, count):
        super().__init__()
        self.batches, self.rows, self.count = batches, rows, count

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        batch = self.batches[i]
        if len(batch) == 1:
            batch = (filled(batch[0], self.count),)
        rows = self.rows(len(keras.tree.flatten(batch)[0]))
        return keras.tree.map_structure(lambda array: array[rows], batch)

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def filled(parts: tuple, count: int) -> tuple:
    """A batch's parts with rows repeated up to a multiple of `count`, and as a last part the rows' weights, 1 or 0.

    Example:
        >>> filled((np.array([5.0, 6.0, 7.0]),), 2)
        (array([5., 6., 7., 5.]), array([1., 1., 1., 0.], dtype=float32))
    """
    total = len(keras.tree.flatten(parts)[0])
    rows = np.arange(total + -total % count)
    weight = (rows < total).astype("float32")
    return (*keras.tree.map_structure(lambda array: np.asarray(array)[rows % total], parts), weight)


class CopyWeights(keras.callbacks.Callback):
    """Copies the averaged weights, after each epoch, to a network on one device, which pictures are drawn with.

    Args:
        copy: That network.
    """

    def __init__(self, copy):
        super().__init__()
        self.copy = copy

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.copy.set_weights([np.asarray(weight) for weight in self.model.ema_network.weights])


class Together(keras.callbacks.Callback):
    """Holds all processes at the end of each epoch until each has done its work. It comes last."""

    def __init__(self, processes: Processes):
        super().__init__()
        self.processes = processes

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.processes.wait(f"epoch {epoch}")


def _outside(hook):
    @functools.wraps(hook)
    def run(*args, **kwargs):
        with _one_device():
            return hook(*args, **kwargs)

    return run


@contextlib.contextmanager
def _one_device() -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _parallel(wanted):
    """Keras's distribution over the wanted devices of all processes."""
    import jax

    there = keras.distribution.list_devices()
    counts = {process: 0 for process in range(jax.process_count())}
    for device in jax.devices():
        counts[device.process_index] += 1
    if len(set(counts.values())) > 1:
        raise ValueError(f"All processes must see as many devices. Received: {list(counts.values())}")
    count = len(there) if wanted in (None, "all") else wanted
    if count > len(there):
        raise ValueError(
            f"`devices` must be 'all' or in 1..{len(there)}, the devices that there are. Received: {count}"
        )
    return keras.distribution.DataParallel(devices=there[:count], auto_shard_dataset=False)
