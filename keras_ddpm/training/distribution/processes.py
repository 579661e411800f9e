"""Several processes that train one model: they meet, agree, wait for each other, and end together.

JAX's coordination service, which process 0 runs, connects them and notices within `HEARTBEAT` seconds if one is lost.
All then end with one sentence and a status other than 0, and `--resume` goes on from the last finished epoch.
"""

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from keras_ddpm.config import Devices
from keras_ddpm.saving import files
from keras_ddpm.training.distribution.last_words import LastWords

CONNECT = 300  # seconds within which all processes must have started
HEARTBEAT = 30  # seconds without a sign of life after which a process is lost
SHUTDOWN = 15  # seconds that a process waits for the others at its end
EPOCH = 24 * 3600  # seconds for which the others wait while process 0 draws pictures and evaluates
STATUS = 75  # EX_TEMPFAIL: the same command with --resume may succeed
TROUBLE = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "oordination")

_last_words: LastWords | None = None  # of this process, once it is connected
_meetings, _barriers = itertools.count(), itertools.count()  # each has a number, since every process counts alike


class Processes:
    """One or several processes, of which this is one.

    Args:
        devices: Resolved `Devices`.
    """

    def __init__(self, devices: Devices):
        self.number, self.count = devices.process or 0, devices.processes or 1
        self.meeting, self.met = 0, True
        if self.count > 1:
            _connect(devices)

    def greet(self) -> None:
        """Connect the devices of all processes. Gloo says so on stdout, which goes where its lines are dropped."""
        if self.count == 1:
            return
        from jax.experimental import multihost_utils

        self.wait("greeting")
        sys.stdout.flush()
        stdout = os.dup(1)
        os.dup2(2, 1)
        try:
            multihost_utils.sync_global_devices("keras_ddpm")
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0

    def agree(self, terms: Callable[[], dict]) -> None:
        """Compare what the processes are about to do.

        Args:
            terms: Function -> dict of what must be the same everywhere, as JSON has it; not called for one process.

        Raises:
            ValueError: on every process, naming the first term in which one differs from process 0, or the error that
                keeps one from training.
        """
        if self.count == 1:
            return
        self._post({"terms": terms()})
        self.met = True
        said = [json.loads(_client().blocking_key_value_get(self._key(n), CONNECT * 1000)) for n in range(self.count)]
        for number, theirs in enumerate(said):
            if "error" in theirs:
                raise ValueError(f"Process {number} of {self.count} cannot train: {theirs['error']}")
            for name, ours, other in _differences(said[0]["terms"], theirs["terms"]):
                raise ValueError(
                    f"The processes must agree. `{name}` is {ours!r:.80} for process 0, {other!r:.80} for {number}"
                )

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """A block that ends in `agree`: if it raises, the others hear of it there."""
        self.meeting, self.met = next(_meetings), False
        try:
            yield
        except Exception as error:
            if self.count > 1 and not self.met:
                self._post({"error": " ".join(str(error).split())})
            raise

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A block of work in common: ends this process, with its last words, if another one is lost."""
        try:
            yield
        except Exception as error:
            if _last_words is not None and any(word in str(error) for word in TROUBLE):
                files.remove_partials()
                _last_words.end(STATUS)
            if _last_words is not None:
                _last_words.change("")  # this process has an error of its own to tell
            raise

    def wait(self, name: str) -> None:
        """Wait for the others: what follows may have to begin within seconds everywhere (Gloo's patience is 30 s)."""
        if self.count > 1:
            _client().wait_at_barrier(f"keras_ddpm/{name}/{next(_barriers)}", EPOCH * 1000)

    def _key(self, number):
        return f"keras_ddpm/{self.meeting}/{number}"

    def _post(self, said):
        _client().key_value_set(self._key(self.number), json.dumps(said))


def _connect(devices):
    """Meet the other processes, once in the life of this one."""
    global _last_words
    import jax

    if _last_words is not None or jax.distributed.is_initialized():
        return
    of = f"process {devices.process} of {devices.processes}"
    _last_words = LastWords(
        f"error: {of} did not meet all others at {devices.coordinator} within {CONNECT} s. Start all of them, with one "
        "`coordinator` and one number of `processes`."
    )
    jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
    try:
        jax.distributed.initialize(
            coordinator_address=devices.coordinator,
            num_processes=devices.processes,
            process_id=devices.process,
            cluster_detection_method="deactivate",
            initialization_timeout=CONNECT,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=SHUTDOWN,
        )
    except RuntimeError as error:
        raise ValueError(f"{of} cannot join the others at {devices.coordinator}: {error}") from error
    _last_words.change(
        f"error: {of} ends, since another one ended or cannot be reached. Start all of them again with --resume: they "
        "go on after the last finished epoch."
    )


def _client() -> Any:
    """JAX's connection to the coordination service; it has no public name, though several libraries use it."""
    from jax._src import distributed

    return distributed.global_state.client


def _differences(ours, theirs, name=""):
    """(name, value, value) of each leaf in which two structures of dicts differ."""
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        if ours != theirs:
            yield name, ours, theirs
        return
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        yield from _differences(ours.get(key), theirs.get(key), f"{name}.{key}" if name else str(key))
