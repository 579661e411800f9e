"""Encryption, and who is who: certificates as paths of PEM files."""

import dataclasses
import os
import pathlib

from .errors import invalid

Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class TLS:
    """What a client needs to trust a server, and to be trusted by it.

    Args:
        root_certificate: Path of the certificates that the server's must come from; None: the usual authorities.
        client_key, client_certificate: Paths, for a server that asks its clients for a certificate.

    Raises:
        InvalidRequest: for a file that cannot be read, or a key without its certificate.
    """

    root_certificate: Path | None = None
    client_key: Path | None = None
    client_certificate: Path | None = None

    def __post_init__(self) -> None:
        if (self.client_key is None) != (self.client_certificate is None):
            raise invalid("client_key", "given together with `client_certificate`", self.client_key)
        for name, path in vars(self).items():
            if path is not None and not (os.path.isfile(path) and os.access(path, os.R_OK)):
                raise invalid(name, "a PEM file that can be read", str(path))

    def read(self) -> tuple[bytes | None, ...]:
        """The files' bytes, None for each that is not given: root certificate, client key, client certificate."""
        paths = (self.root_certificate, self.client_key, self.client_certificate)
        return tuple(None if path is None else pathlib.Path(path).read_bytes() for path in paths)
