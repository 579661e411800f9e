"""How a request reaches the server: over gRPC or REST, behind one interface.

An address with http:// or https:// means REST, any other means gRPC; only the one that is used is imported.
"""

from typing import Protocol

import numpy as np

from ..errors import invalid
from ..model_spec import ModelSpec, VersionStatus
from ..signature import Call, Signature
from ..tls import TLS

SCHEMES = ("http://", "https://", "dns://", "unix://", "xds://")  # the last three are gRPC's


class Transport(Protocol):
    """Connections to one model of one server, for any number of threads; each request gets some seconds."""

    def predict(self, call: Call, seconds: float) -> dict[str, np.ndarray]:
        """The outputs of a call, checked against what it expects."""

    def signatures(self, seconds: float) -> dict[str, Signature]:
        """The model's signatures by name."""

    def status(self, seconds: float) -> list[VersionStatus]:
        """The states of the model's versions."""

    def after_fork(self) -> "Transport":
        """The transport for a child process, which must not use its parent's connections."""

    def close(self) -> None:
        """End the connections; requests under way fail."""


def open_transport(address: str, spec: ModelSpec, *, tls: TLS | None, max_message_bytes: int) -> Transport:
    """The transport that an address means; it connects with the first request.

    Raises:
        InvalidRequest: for a malformed address.
    """
    plain = isinstance(address, str) and ":" in address and address.isprintable() and address == address.strip()
    if not plain or ("://" in address and not address.startswith(SCHEMES)):
        raise invalid("address", "like localhost:8500 for gRPC or http://localhost:8501 for REST", address)
    if address.startswith(("http://", "https://")):
        from .rest_transport import RestTransport

        return RestTransport(address, spec, tls=tls, max_message_bytes=max_message_bytes)
    from .grpc_transport import GrpcTransport

    return GrpcTransport(address, spec, tls=tls, max_message_bytes=max_message_bytes)
