"""One model on one server: tries again where that is safe, and knows what the model takes and gives.

What the server says of the model (its signatures, and the JSON of its `metadata` signature) is kept for a minute, and
forgotten when the server refuses a request, since a new version may have come.
"""

import concurrent.futures
import functools
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import errors
from .deadline import Deadline, with_retries
from .errors import DeadlineExceeded, InvalidRequest, NotFound, Overloaded, Unavailable
from .model_spec import AVAILABLE, ModelSpec, VersionStatus
from .signature import Call, Signature, TensorSpec
from .transports import Transport

KEEP = 60.0  # seconds
CALLS = 16  # of `Client.submit`, at once; the others wait for their turn
CHUNKS = 4  # of large requests, at once
STATUS_SECONDS = 5.0  # for one answer while waiting for a model
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0  # seconds between two looks at the status
COUNTS = ("num_classes", "T", "steps", "max_batch")  # of the metadata
INPUTS = {"digit", "w", "seed", "x_t", "t"}  # of every model, beside its attributes
METADATA = {"metadata": TensorSpec("string", (None,))}


class RemoteModel:
    """A model behind a transport. It belongs to one process, since neither sockets nor threads survive a fork.

    Args:
        address: For the errors.
        spec: The model.
        transport: How to reach it.
        retries: Tries after the first one.
    """

    def __init__(self, address: str, spec: ModelSpec, transport: Transport, *, retries: int):
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise errors.invalid("retries", "an integer of at least 0", retries)
        self.address, self.spec, self.transport, self.retries = address, spec, transport, retries
        self.process_id = os.getpid()
        self.closed = False
        self.calls = concurrent.futures.ThreadPoolExecutor(CALLS, "serving-call")  # threads start when needed
        self.chunks = concurrent.futures.ThreadPoolExecutor(CHUNKS, "serving-chunk")  # two pools: calls wait for chunks
        self._known: dict[str, tuple[Any, float]] = {}

    def signatures(self, deadline: Deadline) -> dict[str, Signature]:
        """The signatures by name, without those that only TensorFlow itself calls."""

        def ask():
            found = self._try(self.transport.signatures, deadline)
            return {name: found[name] for name in sorted(found) if not name.startswith("__")}

        return self._keep("signatures", ask)

    def metadata(self, deadline: Deadline) -> dict[str, Any]:
        """What the model says about itself."""

        def ask():
            found = self.predict("metadata", {"digit": [0]}, deadline, outputs=METADATA, rows=1)["metadata"]
            with errors.reading_response():
                return _check_metadata(json.loads(found[0]))

        return self._keep("metadata", ask)

    def predict(
        self,
        name: str,
        inputs: Mapping[str, ArrayLike],
        deadline: Deadline,
        *,
        outputs: dict[str, TensorSpec] | None = None,
        rows: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Send one request to a signature, tried until it succeeds.

        Args:
            name, inputs, deadline: Of the request, and of all its tries.
            outputs: What must come back; None: what the signature says.
            rows: Rows that each output must have; None for any number.

        Raises:
            InvalidRequest: before anything is sent, naming the signature or input that is wrong.
        """
        signatures = self.signatures(deadline)
        if name not in signatures:
            raise InvalidRequest(f"`signature` must be one of {list(signatures)}. Received: {name!r:.60}")
        signature = signatures[name]
        call = Call(name, signature.convert(name, inputs), signature.outputs if outputs is None else outputs, rows)
        try:
            return self._try(functools.partial(self.transport.predict, call), deadline)
        except NotFound:
            self._known = {}
            raise
        except InvalidRequest as error:
            self._known = {}
            raise type(error)(f"{error}. `{name}` wants {signature.wants()}", code=error.code) from error

    def status(self, deadline: Deadline) -> list[VersionStatus]:
        """The states of the versions."""
        return self._try(self.transport.status, deadline)

    def wait_until_available(self, deadline: Deadline) -> None:
        """Ask for the status until a version is AVAILABLE.

        Raises:
            DeadlineExceeded: with the server's last answer.
            InvalidRequest: if waiting cannot help.
        """
        wait, last = FIRST_WAIT, "none"
        while (left := deadline.end - time.monotonic()) > 0:
            once = functools.partial(self._try, deadline=Deadline(min(left, STATUS_SECONDS)), retries=0)
            try:
                versions = once(self.transport.status)
                last = "; ".join(map(str, versions)) or "no version"
                if any(version.state == AVAILABLE for version in versions) and self._knows_label(once):
                    return
            except (Unavailable, Overloaded, NotFound, DeadlineExceeded) as error:
                last = str(error)
            time.sleep(max(0.0, min(wait, deadline.end - time.monotonic())))
            wait = min(2 * wait, LONGEST_WAIT)
        which = self.spec.model + (f" ({self.spec.label})" if self.spec.label else "")
        where = f"{which} at {self.address}"
        raise DeadlineExceeded(f"{where} is not ready after {deadline.seconds:g} s. Last answer: {last}")

    def after_fork(self) -> "RemoteModel":
        """The same for a child process, with connections and threads of its own."""
        self.check_open()
        return RemoteModel(self.address, self.spec, self.transport.after_fork(), retries=self.retries)

    def close(self) -> None:
        """End the connections; requests under way fail."""
        self.closed = True
        self.transport.close()
        for pool in (self.calls, self.chunks):
            pool.shutdown(wait=False)  # what still waits there finds that all is closed

    def check_open(self) -> None:
        """Raise a `ServingError` if it is closed."""
        if self.closed:
            raise errors.client_closed()

    def _knows_label(self, once):
        """Whether the label, if there is one, means a version now; the status does not say."""
        if self.spec.label is None:
            return True
        try:
            once(self.transport.signatures)
        except InvalidRequest:
            return False
        return True

    def _keep(self, what: str, ask: Callable[[], Any]) -> Any:
        value, until = self._known.get(what, (None, 0.0))
        if time.monotonic() >= until:
            value = ask()
            self._known[what] = value, time.monotonic() + KEEP
        return value

    def _try(self, call, deadline, *, retries=None):
        self.check_open()
        try:
            return with_retries(call, deadline, self.retries if retries is None else retries)
        except Unavailable as error:
            raise Unavailable(f"{self.spec.model} at {self.address} is not available: {error}") from error
        except DeadlineExceeded as error:
            seconds = f"{deadline.seconds:.3g} s"
            raise DeadlineExceeded(f"No answer from {self.spec.model} at {self.address} within {seconds}") from error


def _check_metadata(metadata):
    missing = [name for name in (*COUNTS, "image_shape", "w") if name not in metadata]
    if missing:
        raise ValueError(f"the model's metadata lack {missing}: {metadata!r:.200}")
    shapes = [list(metadata[name]) for name in ("image_shape", "latent_shape") if name in metadata]
    sizes = [metadata[name] for name in COUNTS] + [size for shape in shapes for size in shape]
    if any(len(shape) != 3 for shape in shapes) or not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise ValueError(f"{COUNTS} and the three sizes of `image_shape` must be positive integers: {metadata!r:.200}")
    if type(metadata["w"]) not in (int, float) or not math.fabs(metadata["w"]) < 3e38:
        raise ValueError(f"`w` must be a finite number: {metadata['w']!r:.60}")
    attributes = metadata.get("attributes", {})
    if set(attributes) & INPUTS or not all(-3e38 < low < high < 3e38 for low, high in attributes.values()):
        raise ValueError(f"`attributes` must have a range each, and names of their own: {attributes!r:.200}")
    return metadata
