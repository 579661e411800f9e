"""HTTP with one deadline for a whole request, and a limit on the size of the response.

urllib3 speaks HTTP and keeps connections. Its timeouts begin anew with every byte that comes, so a server that drips
could hold a caller for ever; hence the sockets here wait only for what is left of the time of their thread's request.
It covers connecting, the TLS handshake, sending and receiving; looking up a host's name takes as long as the system
lets it. Redirects are not followed, and proxies and compression are not used.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Any

import urllib3

from ..errors import DeadlineExceeded, ServingError, TooLarge, Unavailable, client_closed, invalid
from ..tls import TLS

KEPT_CONNECTIONS = 64
CHUNK = 2**16  # bytes read at once

_request = threading.local()  # of each thread: `end` (monotonic seconds), `http`, and whether it has `connected`


def _seconds_left():
    if _request.http.closed:
        raise ConnectionAbortedError("closed")
    left = _request.end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class BoundedHttp:
    """Kept connections to one server.

    Args:
        address: URL.
        tls: `TLS`; None trusts the usual authorities.
        max_message_bytes: Largest body to send or to take.

    Raises:
        InvalidRequest: for a malformed URL.
    """

    def __init__(self, address: str, *, tls: TLS | None, max_message_bytes: int):
        url = _split(address)
        if tls is not None and url.scheme != "https":
            raise invalid("tls", "given with an https address only", address)
        self.prefix = urllib.parse.quote(url.path.rstrip("/"), safe="/%")
        self.max_message_bytes = max_message_bytes
        self.closed = False
        self.open_connections: set = set()
        options: dict[str, Any] = {"maxsize": KEPT_CONNECTIONS, "retries": False, "http": self}
        self.pool: urllib3.HTTPConnectionPool
        if url.scheme == "https":
            self.pool = urllib3.HTTPSConnectionPool(url.hostname, url.port, ssl_context=_context(tls), **options)
            self.pool.ConnectionCls = _TlsConnection
        else:
            self.pool = urllib3.HTTPConnectionPool(url.hostname, url.port, **options)
            self.pool.ConnectionCls = _Connection

    def request(self, method: str, path: str, body: bytes | None, end: float) -> tuple[int, bytes]:
        """Ask once for a path below the address, with a JSON body or none, until `end` of the monotonic clock.

        Returns:
            Status and body.

        Raises:
            ServingError: DeadlineExceeded, TooLarge, Unavailable, or a plain one if the server does not speak HTTP.
        """
        if body is not None and len(body) > self.max_message_bytes:
            raise TooLarge(f"{len(body)} bytes to send. `max_message_bytes` is {self.max_message_bytes}")
        _request.http, _request.end = self, end
        headers = {"Content-Type": "application/json"} if body is not None else {}
        options: dict[str, Any] = {"redirect": False, "preload_content": False}
        while True:
            _request.connected = False
            try:
                response = self.pool.urlopen(method, self.prefix + path, body, headers, **options)
                try:
                    return response.status, self._read(response)
                finally:
                    response.close()  # ends its connection too, unless all of it was read
            except Exception as error:
                failure = self._as_serving_error(error)
                if _request.connected or not isinstance(failure, Unavailable):
                    raise failure from error
            # the server has closed a kept connection: the next one may be new

    def close(self) -> None:
        """End all connections; requests under way fail."""
        self.closed = True
        for connection in list(self.open_connections):
            with contextlib.suppress(OSError, AttributeError):  # it has just ended
                connection.sock.shutdown(socket.SHUT_RDWR)
        self.pool.close()

    def _read(self, response):
        body = bytearray()
        for chunk in response.stream(CHUNK, decode_content=False):
            body += chunk
            if len(body) > self.max_message_bytes:
                raise TooLarge(f"More than {self.max_message_bytes} bytes came. See `max_message_bytes`")
        return bytes(body)

    def _as_serving_error(self, error):
        cause = next((part for part in error.args if isinstance(part, Exception)), error)
        if self.closed:
            return client_closed()
        if isinstance(error, ServingError):
            return error
        if time.monotonic() >= _request.end:  # whatever urllib3 makes of a timeout
            return DeadlineExceeded("No answer within the deadline")
        unfinished = isinstance(cause, OSError | http.client.IncompleteRead)
        if isinstance(cause, http.client.HTTPException) and not unfinished:
            return ServingError(f"The server does not speak HTTP: {cause!r:.100}")
        if unfinished or isinstance(error, urllib3.exceptions.HTTPError):
            return Unavailable(f"{str(cause) or type(cause).__name__:.300}")
        return ServingError(f"The request failed: {error!r:.300}", code="INTERNAL")


class _Deadlined:
    """A socket whose every wait ends with the deadline of its thread's request."""

    def recv_into(self, *args):
        self.settimeout(_seconds_left())
        return super().recv_into(*args)

    def send(self, *args):
        self.settimeout(_seconds_left())
        return super().send(*args)

    def sendall(self, *args):
        self.settimeout(_seconds_left())
        return super().sendall(*args)


class _Socket(_Deadlined, socket.socket):
    pass


class _TlsSocket(_Deadlined, ssl.SSLSocket):
    pass


class _Connects:
    """A connection that opens such sockets, and that its `BoundedHttp` knows while it is open."""

    def __init__(self, *args, http, **options):
        super().__init__(*args, **options)
        self.http = http

    def _new_conn(self):
        self.http.open_connections.add(self)
        _request.connected = True
        error = OSError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            sock = _Socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(_seconds_left())
                sock.connect(address)
                sock.settimeout(_seconds_left())  # for the TLS handshake
                return sock
            except OSError as failure:
                sock.close()
                error = failure
        raise error

    def close(self):
        super().close()
        self.http.open_connections.discard(self)


class _Connection(_Connects, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Connects, urllib3.connection.HTTPSConnection):
    pass


def _split(address):
    with contextlib.suppress(ValueError):
        url = urllib.parse.urlsplit(address)
        if url.hostname and url.port != 0 and not (url.query or url.fragment or url.username):
            return url
    raise invalid("address", "a URL like http://localhost:8501", address)


def _context(tls):
    try:
        context = ssl.create_default_context(cafile=tls and tls.root_certificate)
        if tls is not None and tls.client_certificate is not None:
            context.load_cert_chain(tls.client_certificate, tls.client_key)
    except ssl.SSLError as error:
        raise invalid("tls", "PEM files of certificates and their key", str(error)) from error
    context.sslsocket_class = _TlsSocket
    return context
