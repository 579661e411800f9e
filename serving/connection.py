"""One model behind one wire: tries again where that is safe, and knows what the model wants.

What the server says of the model (its signatures and the JSON of its `metadata` signature) is kept for a minute, and
forgotten when the server refuses a request, since a new version may have come.
"""

import json
import time

import numpy as np

from serving.deadline import Deadline, with_retries
from serving.errors import DeadlineExceeded, InvalidRequest, NotFound, ServingError, Unavailable, closed, wrong

KEEP = 60.0  # seconds
SCHEMES = ("http://", "https://", "dns://", "unix://", "xds://")  # the last three are gRPC's
NEEDED = ("image_shape", "num_classes", "T", "steps", "w", "max_batch")


def open_wire(address, target, *, tls, max_message_bytes):
    """The wire that an address means: REST for http and https, gRPC for the rest.

    Raises:
        InvalidRequest: for an address that is none.
    """
    known = isinstance(address, str) and ":" in address and address == address.strip()
    if not known or ("://" in address and not address.startswith(SCHEMES)):
        raise wrong("address", "like localhost:8500 for gRPC or http://localhost:8501 for REST", address)
    if address.startswith(("http://", "https://")):
        from serving.rest_wire import RestWire as Wire
    else:
        from serving.grpc_wire import GrpcWire as Wire
    return Wire(address, target, tls=tls, max_message_bytes=max_message_bytes)


class Connection:
    """A wire with retries and a memory.

    Args:
        address: For the errors.
        target: `Target`.
        wire: `GrpcWire`, `RestWire`, or what has their methods.
        retries: Tries after the first one.
    """

    def __init__(self, address, target, wire, *, retries):
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise wrong("retries", "an integer of at least 0", retries)
        self.address, self.target, self.wire, self.retries = address, target, wire, retries
        self.closed = False
        self._known = {}

    def signatures(self, deadline):
        """dict of name -> `Signature`, without those that only TensorFlow itself calls."""

        def ask():
            found = self._try(self.wire.signatures, deadline)
            return {name: found[name] for name in sorted(found) if not name.startswith("__")}

        return self._keep("signatures", ask)

    def metadata(self, deadline):
        """What the model says of itself, a dict."""

        def ask():
            rows = self.predict("metadata", {"digit": [0]}, deadline)["metadata"]
            try:
                metadata = json.loads(rows[0])
                missing = [name for name in NEEDED if name not in metadata]
            except (IndexError, TypeError, ValueError) as error:
                raise ServingError(f"The model's metadata cannot be read: {rows!r:.100}", code="INTERNAL") from error
            if missing:
                raise ServingError(f"The model's metadata lacks {missing}. Received: {metadata!r:.200}")
            return metadata

        return self._keep("metadata", ask)

    def predict(self, name, inputs, deadline):
        """Outputs of a signature for inputs that it wants: one request, tried until it succeeds.

        Raises:
            InvalidRequest: before anything is sent, naming the signature or input that is wrong.
        """
        signatures = self.signatures(deadline)
        if name not in signatures:
            raise InvalidRequest(f"`signature` must be one of {list(signatures)}. Received: {name!r}")
        signature = signatures[name]
        arrays = signature.convert(name, inputs)
        try:
            outputs = self._try(lambda left: self.wire.predict(name, arrays, signature, left), deadline)
        except (InvalidRequest, NotFound) as error:
            self._known = {}
            if isinstance(error, NotFound):
                raise
            raise type(error)(f"{error}. `{name}` wants {signature.wants()}", code=error.code) from error
        missing = sorted(set(signature.outputs) - set(outputs))
        if missing:
            raise ServingError(f"The answer of `{name}` lacks {missing}", code="INTERNAL")
        return outputs

    def predict_rows(self, name, inputs, deadline):
        """`predict`, where every output must have a row for each row of the inputs."""
        rows = len(next(iter(inputs.values())))
        outputs = self.predict(name, inputs, deadline)
        for key, array in outputs.items():
            if np.shape(array)[:1] != (rows,):
                raise ServingError(f"`{key}` has the shape {np.shape(array)} for {rows} rows", code="INTERNAL")
        return outputs

    def status(self, deadline):
        """List of `VersionStatus`."""
        return self._try(self.wire.status, deadline)

    def status_once(self, seconds):
        """`status`, tried once."""
        return self._try(self.wire.status, Deadline(seconds), retries=0)

    def label_is_known(self, seconds):
        """Whether the target's label, if it has one, means a version now; the status does not say."""
        if self.target.label is None:
            return True
        try:
            self._try(self.wire.signatures, Deadline(seconds), retries=0)
        except InvalidRequest:
            return False
        return True

    def close(self):
        """End it; requests under way fail."""
        self.closed = True
        self.wire.close()

    def check_open(self):
        """Nothing, or a `ServingError` if it has ended."""
        if self.closed:
            raise closed()

    def _keep(self, what, ask):
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
            raise Unavailable(f"{self.target.model} at {self.address} is not available: {error}") from error
        except DeadlineExceeded as error:
            seconds = f"{deadline.seconds:.3g} s"
            raise DeadlineExceeded(f"No answer from {self.target.model} at {self.address} within {seconds}") from error
