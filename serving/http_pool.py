"""HTTP with a deadline that holds: kept connections, each used by one request at a time.

A socket's own timeout starts anew with every byte that comes, so a slow server could hold a caller for ever. Here each
read and write waits for what is left of the request's time.
"""

import contextlib
import http.client
import io
import socket
import ssl
import time
import urllib.parse

from serving.errors import DeadlineExceeded, ServingError, TooLarge, Unavailable, closed, wrong

PIECE = 2**16  # bytes read at once


class HttpPool:
    """Kept connections to one server.

    Args:
        address: URL.
        tls: `TLS`; None trusts the usual authorities.
        max_message_bytes: Largest body to send or to take.

    Raises:
        InvalidRequest: for a URL that is none.
    """

    def __init__(self, address, *, tls, max_message_bytes):
        url, port = _split(address)
        if tls is not None and url.scheme != "https":
            raise wrong("tls", "given with an https address only", address)
        self.host, self.port, self.prefix = url.hostname, port, urllib.parse.quote(url.path.rstrip("/"), safe="/%")
        self.max_message_bytes = max_message_bytes
        self.context = _context(tls) if url.scheme == "https" else None
        self.idle, self.busy, self.closed = [], set(), False

    def request(self, method, path, body, timeout):
        """Ask once.

        Args:
            method: "GET" or "POST".
            path: Path below the address.
            body: Bytes of JSON, or None.
            timeout: Seconds for all of it.

        Returns:
            Status and body.

        Raises:
            ServingError: one of DeadlineExceeded, TooLarge and Unavailable, or plain if the answer is no HTTP.
        """
        if body is not None and len(body) > self.max_message_bytes:
            raise TooLarge(f"{len(body)} bytes to send. `max_message_bytes` is {self.max_message_bytes}")
        end = time.monotonic() + timeout
        while self.idle:
            try:
                return self._once(self.idle.pop(), method, path, body, end)
            except IndexError:
                break  # another thread took the last one
            except Unavailable:
                continue  # kept too long: the server has closed it
        return self._once(self._connection(end), method, path, body, end)

    def close(self):
        """End all connections; requests under way fail."""
        self.closed = True
        while self.idle:
            self.idle.pop().close()
        for connection in list(self.busy):  # whoever uses it closes it
            if isinstance(sock := connection.sock, _TimedSocket):
                sock.shutdown()

    def _connection(self, end):
        options = {"timeout": max(end - time.monotonic(), 1e-3)}
        if self.context is None:
            return http.client.HTTPConnection(self.host, self.port, **options)
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, **options)

    def _once(self, connection, method, path, body, end):
        kept = False
        self.busy.add(connection)
        try:
            answer, kept = self._exchange(connection, method, path, body, end)
            return answer
        except (OSError, http.client.HTTPException) as error:
            raise self._error(error) from error
        finally:
            self.busy.discard(connection)
            if kept and not self.closed:
                self.idle.append(connection)
            else:
                connection.close()

    def _error(self, error):
        if self.closed:
            return closed()
        if isinstance(error, TimeoutError):
            return DeadlineExceeded("No answer within the deadline")
        if isinstance(error, OSError | http.client.IncompleteRead):
            return Unavailable(str(error) or type(error).__name__)
        return ServingError(f"No HTTP is spoken at {self.host}:{self.port}: {error!r:.100}")

    def _exchange(self, connection, method, path, body, end):
        if connection.sock is None:
            connection.connect()
            connection.sock = _TimedSocket(connection.sock)
        if self.closed:
            raise ConnectionAbortedError
        connection.sock.end = end
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, self.prefix + path, body=body, headers=headers)
        response = connection.getresponse()
        pieces, size = [], 0
        while piece := response.read1(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self.max_message_bytes:
                raise TooLarge(f"More than {self.max_message_bytes} bytes came. See `max_message_bytes`")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # a response read in pieces keeps its connection taken until then
        return (response.status, b"".join(pieces)), not response.will_close


class _TimedSocket:
    """What http.client needs of a socket, where every wait ends at `end`."""

    def __init__(self, sock):
        self.sock, self.end = sock, 0.0

    def wait(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("The deadline has passed")
        self.sock.settimeout(left)

    def sendall(self, data):
        self.wait()
        self.sock.sendall(data)

    def makefile(self, mode):
        return io.BufferedReader(_TimedReader(self, self.sock.makefile(mode, buffering=0)), PIECE)

    def shutdown(self):
        with contextlib.suppress(OSError):  # the other side was first
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.sock.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, timed, raw):
        self.timed, self.raw = timed, raw

    def readable(self):
        return True

    def readinto(self, buffer):
        self.timed.wait()
        return self.raw.readinto(buffer)

    def close(self):
        self.raw.close()
        super().close()


def _split(address):
    url = urllib.parse.urlsplit(address)
    try:
        port = url.port
    except ValueError:
        port = 0
    if not url.hostname or port == 0 or url.query or url.fragment or url.username:
        raise wrong("address", "a URL like http://localhost:8501", address)
    return url, port


def _context(tls):
    if tls is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=tls.root_certificate)
        if tls.client_certificate is not None:
            context.load_cert_chain(tls.client_certificate, tls.client_key)
    except ssl.SSLError as error:
        raise wrong("tls", "PEM files of certificates and their key", str(error)) from error
    return context
