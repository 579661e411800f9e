"""HTTP/1.1 with a limit on everything that a client can hold: connections, headers, bodies and time.

h11 knows the protocol; this is its sockets and its limits. Bodies must not be compressed, since nobody knows before
what they unpack to, nor come in chunks, since a chunk may hold one byte. Every error, the protocol's own included, is
{"error": "..."}.
"""

import asyncio
import contextlib
import dataclasses
import http
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator

import h11

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 384
MAX_HEADERS = 16 * 2**10  # bytes
MAX_BODY = 16 * 2**20  # bytes of one request
MAX_BODIES = 128 * 2**20  # bytes of all requests that are read or answered now
IDLE = 60.0  # seconds without a request
HEADERS = 10.0  # seconds from a request's first byte to the end of its headers
LINGER = 2.0  # seconds in which the rest of a refused body is read and thrown away, so that the error arrives
CHUNK = 2**16  # bytes


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client sent; `deadline` is in the event loop's time."""

    method: str
    target: bytes
    body: bytes
    deadline: float


@dataclasses.dataclass(frozen=True)
class Response:
    """What it gets."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple = ()


class HttpError(Exception):
    """A request that ends in an HTTP status and a sentence."""

    def __init__(self, status: int, message: str):
        self.status, self.message = status, message
        super().__init__(message)


def error_response(status: int, message: str) -> Response:
    """{"error": message}."""
    return Response(status, json.dumps({"error": message}).encode())


class HttpServer:
    """Listens, reads requests, and sends what a function answers.

    Args:
        answer: Coroutine function of a Request; cancelled when the client hangs up.
        timeout: Seconds for a request, its body included, and again for sending the response.
    """

    def __init__(self, answer: Callable, *, timeout: float):
        self._answer = answer
        self._timeout = timeout
        self._connections: dict[_Connection, None] = {}  # the longest idle first
        self._bodies = 0
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections at a listening socket, with TLS or plainly."""
        limits = (None, None) if tls is None else (HEADERS, LINGER)
        self._server = await asyncio.start_server(
            self._connect, sock=sock, ssl=tls, ssl_handshake_timeout=limits[0], ssl_shutdown_timeout=limits[1]
        )

    async def stop(self) -> None:
        """Close connections without a complete request, and finish the running ones."""
        if self._server is None:
            return
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.stop()
        if connections:
            await asyncio.wait([connection.task for connection in connections], timeout=self._timeout)
        for connection in connections:
            connection.close()

    async def _connect(self, reader, writer):
        connection = _Connection(self, reader, writer, timeout=self._timeout)
        try:
            self._make_room()
            more = True
            while more:
                self._connections[connection] = self._connections.pop(connection, None)  # the last that was idle
                more = await connection.exchange()
        except (OSError, h11.LocalProtocolError):  # also TimeoutError: the client has gone, or takes no bytes
            pass
        finally:
            self._connections.pop(connection, None)
            connection.close()

    def _make_room(self):
        """At the limit the connection that was idle longest gives way; if all are busy, the new one does."""
        if len(self._connections) < MAX_CONNECTIONS:
            return
        idle = next((connection for connection in self._connections if not connection.busy), None)
        if idle is None:
            raise ConnectionError(f"all of {MAX_CONNECTIONS} connections are busy")
        del self._connections[idle]
        idle.close()

    @contextlib.contextmanager
    def body_room(self) -> Iterator[Callable[[int], None]]:
        """Function that reserves bytes for a body, until the block ends."""
        reserved = 0

        def reserve(size):
            nonlocal reserved
            if reserved + size > MAX_BODY:
                raise HttpError(413, f"A body must have at most {MAX_BODY} bytes")
            if self._bodies + size > MAX_BODIES:
                raise HttpError(503, "The server holds many large bodies now. Try later.")
            reserved += size
            self._bodies += size

        try:
            yield reserve
        finally:
            self._bodies -= reserved

    async def respond(self, request: Request) -> Response:
        """The response to a request; a bug is 500."""
        try:
            return await self._answer(request)
        except HttpError as error:
            return error_response(error.status, error.message)
        except Exception as error:
            logger.exception("%s %r failed", request.method, request.target[:200])
            return error_response(500, f"{type(error).__name__}: {error}"[:1000])


class _Connection:
    """One client's connection: requests, one after the other."""

    def __init__(self, server, reader, writer, *, timeout):
        self.busy = False  # a complete request is being answered
        self.task = asyncio.current_task()
        self._server, self._reader, self._writer = server, reader, writer
        self._timeout = timeout
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS)
        self._method = None
        self._stopping = False
        writer.transport.set_write_buffer_limits(high=0)  # `drain` waits until all is sent
        # A body must not wait until the client has acknowledged the head, which takes 40 ms. asyncio sees to that only
        # for sockets that name TCP, which those of `socket.create_server` do not.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def stop(self):
        """Take no further request."""
        self._stopping = True
        if not self.busy:
            self.close()

    def close(self):
        """Close now; what was not sent is lost."""
        transport = self._writer.transport
        lost = transport.is_closing() or transport.get_write_buffer_size()  # of TLS, one that closes has no buffer
        transport.abort() if lost else transport.close()

    async def exchange(self):
        """One request and its response.

        Returns:
            Whether the connection can take another one.
        """
        self._method = None
        try:
            response = await self._read_and_answer()
        except HttpError as error:
            response = error_response(error.status, error.message)
        except h11.RemoteProtocolError as error:
            response = error_response(error.error_status_hint, f"Malformed HTTP: {error}")
        if response is None or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        async with asyncio.timeout(self._timeout):
            await self._send(response)
        self.busy = False
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return not self._stopping
        if self._http.their_state in (h11.SEND_BODY, h11.ERROR):
            await self._discard_the_rest()
        return False

    async def _read_and_answer(self):
        head = await self._read_head()
        if head is None:
            return None
        self._method = head.method
        with self._server.body_room() as reserve:
            request = await self._read_body(head, reserve)
            self.busy = True
            return await self._unless_gone(self._server.respond(request))

    async def _read_head(self):
        """The next request's head; None if the client has closed."""
        now = asyncio.get_running_loop().time
        begun = bool(self._http.trailing_data[0])
        end = now() + (HEADERS if begun else IDLE)
        while (event := self._http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout_at(end):
                await self._receive()
            if not begun:
                begun, end = True, now() + HEADERS
        return event if isinstance(event, h11.Request) else None

    async def _read_body(self, head, reserve):
        """The request with its body; its time begins here."""
        headers = dict(head.headers)
        if head.http_version not in (b"1.0", b"1.1"):
            raise HttpError(505, f"HTTP must be 1.0 or 1.1. Received: {head.http_version.decode()}")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise HttpError(415, "The body must not be compressed")
        if b"transfer-encoding" in headers:
            raise HttpError(411, "The body must come with its Content-Length, not in chunks")
        if int(headers.get(b"content-length", 0)) > MAX_BODY:
            raise HttpError(413, f"A body must have at most {MAX_BODY} bytes")
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        deadline = asyncio.get_running_loop().time() + self._timeout
        body = bytearray()
        try:
            async with asyncio.timeout_at(deadline):
                while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
                    if event is h11.NEED_DATA:
                        await self._receive()
                    else:
                        reserve(len(event.data))
                        body += event.data
        except TimeoutError:
            raise HttpError(504, "The request's body did not arrive in time") from None
        return Request(head.method.decode(), head.target, bytes(body), deadline)

    async def _receive(self):
        self._http.receive_data(await self._reader.read(CHUNK))

    async def _unless_gone(self, answering):
        """The result of a coroutine; None if the client hangs up meanwhile, and then it is cancelled."""
        work, read = asyncio.ensure_future(answering), asyncio.ensure_future(self._reader.read(CHUNK))
        try:
            await asyncio.wait([work, read], return_when=asyncio.FIRST_COMPLETED)
            if read.done() and not read.exception() and read.result():  # the next request, before this one's answer
                await asyncio.wait([work])
            return work.result() if work.done() else None
        finally:
            work.cancel()
            read.cancel()
            await asyncio.wait([work, read])
            if not read.cancelled() and not read.exception():
                self._http.receive_data(read.result())

    async def _send(self, response):
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        headers += [*response.headers, *([("Connection", "close")] if self._stopping else [])]
        reason = http.HTTPStatus(response.status).phrase
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        self._writer.write(self._http.send(head))
        body = b"" if self._method == b"HEAD" else memoryview(response.body)
        for start in range(0, len(body), CHUNK):
            self._writer.write(self._http.send(h11.Data(data=bytes(body[start : start + CHUNK]))))
            await self._writer.drain()
        self._writer.write(self._http.send(h11.EndOfMessage()))
        await self._writer.drain()

    async def _discard_the_rest(self):
        """Read what still comes of a refused request: closing on it would destroy the response on its way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while await self._reader.read(CHUNK):
                    pass
