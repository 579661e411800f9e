"""The local server: TensorFlow Serving's wire surface for laptops and tests.

    python -m serving.server --model-base-path models/ddpm

It speaks the same protocol (gRPC and REST) and runs the model in the same C++ runtime. It is not TensorFlow Serving,
and what is measured or shown here says nothing about that one: production has `serving/deploy/`.

One event loop answers everybody; the model runs in a few threads beside it, since TensorFlow lets Python go on.

What clients send is bounded before it is read: requests by their size and number, connections by their number and time.
"""

import asyncio
import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health, health_pb2

from .options import Options
from .tensors import MAX_RESPONSE
from .version import Version
from .versions import Versions
from .wires import tls
from .wires.grpc_services import CALLS, CALLS_PER_PLACE, LAST_CALL, MAX_REQUEST, GrpcServices
from .wires.http_server import HEADERS, IDLE, MAX_CONNECTIONS, HttpServer
from .wires.rest import Rest

logger = logging.getLogger(__name__)

HEALTHY = ("", "tensorflow.serving.PredictionService")  # "" is the whole server
EVERYWHERE = ("0.0.0.0", "::")
CONNECTION_AGE = 3600.0  # seconds; then a gRPC connection ends with its calls, or after as long again
GRPC_OPTIONS = {
    "grpc.max_send_message_length": MAX_RESPONSE,
    "grpc.max_receive_message_length": MAX_REQUEST,
    "grpc.so_reuseport": 0,  # two servers at one port would share its requests in silence
    "grpc.max_allowed_incoming_connections": MAX_CONNECTIONS,
    "grpc.server_handshake_timeout_ms": round(1000 * HEADERS),
    "grpc.max_connection_idle_ms": round(1000 * IDLE),
    "grpc.max_connection_age_ms": round(1000 * CONNECTION_AGE),
    "grpc.max_connection_age_grace_ms": round(1000 * CONNECTION_AGE),
}


class LocalServer:
    """A server in the running event loop: `async with LocalServer(options) as server: ...`.

    Raises:
        ValueError: if an option is out of range; on entering, if a port is taken, TLS is wrong, or no version loads
            within `options.wait` seconds.
    """

    def __init__(self, options: Options):
        options.check()
        self._options = options
        self._stopping = asyncio.Event()
        load = functools.partial(Version, batch_rows=options.batch_rows, queue=options.queue)
        self._versions = Versions(options.model_name, options.model_base_path, load, load_timeout=options.load_timeout)
        self._health = health.aio.HealthServicer()
        self._services = GrpcServices(
            self._versions,
            self._health,
            timeout=options.timeout,
            calls=CALLS + CALLS_PER_PLACE * options.queue,
            tensor_content=options.tensor_content,
        )
        self._grpc = None
        self._http = HttpServer(Rest(self._versions).answer, timeout=options.timeout)
        self._watch = None
        self.port = self.rest_api_port = 0

    async def __aenter__(self):
        try:
            await self._start()
            await self._first_version()
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._look_for_versions())
        return self

    async def __aexit__(self, *exception):
        await self.stop()

    async def stop(self) -> None:
        """Refuse new requests, finish the running ones, give everything back; a version that loads is abandoned."""
        self._stopping.set()
        await self._health.enter_graceful_shutdown()
        stopping = [self._http.stop()]
        if self._grpc is not None:
            stopping.append(self._stop_grpc())
        await asyncio.gather(*stopping)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._versions.close()

    def is_loading(self) -> bool:
        """Whether a version is being loaded."""
        return self._versions.is_loading()

    async def _start(self):
        options = self._options
        asyncio.get_running_loop().set_exception_handler(_log_once_when_full())
        config = None if options.ssl_config_file is None else tls.read_config(options.ssl_config_file)
        context = None if config is None else tls.ssl_context(config)
        self._grpc = grpc.aio.server(options=list(GRPC_OPTIONS.items()))
        self._grpc.add_generic_rpc_handlers([self._services])
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.port = self._add_port(address(options.host, options.port), config)
        await self._grpc.start()
        try:
            sock = _listen(options.host, options.rest_api_port)
        except OSError as error:
            raise ValueError(f"cannot listen at {address(options.host, options.rest_api_port)}: {error}") from error
        self.rest_api_port = sock.getsockname()[1]
        await self._http.start(sock, tls=context)

    def _add_port(self, where, config):
        try:
            if config is None:
                return self._grpc.add_insecure_port(where)
            return self._grpc.add_secure_port(where, tls.grpc_credentials(config))
        except RuntimeError as error:
            raise ValueError(f"cannot listen at {where}: {error}") from error

    async def _stop_grpc(self):
        """As soon as no call is left that counts; health's streams would never end by themselves.

        A moment more lets the last answers leave: gRPC cancels a call whose status is on its way, too.
        """
        stopping = asyncio.ensure_future(self._grpc.stop(self._options.timeout))
        idle = asyncio.ensure_future(self._services.stop())
        await asyncio.wait([stopping, idle], return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        await self._grpc.stop(LAST_CALL)
        await stopping

    async def _first_version(self):
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.wait
        while not await self._versions.scan():
            if loop.time() >= end:
                errors = "; ".join(f"version {number}: {error}" for number, error in self._versions.errors())
                raise ValueError(
                    f"`model_base_path` must hold a numbered folder with a SavedModel that loads. Received: "
                    f"{str(self._options.model_base_path)!r} ({errors or 'no numbered folder'})"
                )
            await asyncio.sleep(min(self._options.poll, max(0, end - loop.time())))
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def _look_for_versions(self):
        while not self._stopping.is_set():
            await asyncio.sleep(self._options.poll)
            try:
                await self._versions.scan()
            except Exception:
                logger.exception("looking for versions failed")

    async def _set_health(self, status):
        for service in HEALTHY:
            await self._health.set(service, status)


def address(host: str, port: int) -> str:
    """HOST:PORT, IPv6 in brackets."""
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host, port):
    """A socket for REST; gRPC takes both wildcards for every address of both kinds, so REST does."""
    host = host.strip("[]")
    if host in EVERYWHERE and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family, *_, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(found[:2], family=family)


def _log_once_when_full():
    """An exception handler for the event loop that says only once that no descriptor is left for a connection."""
    said = set()

    def handle(loop, context):
        error = context.get("exception")
        if isinstance(error, OSError) and context.get("socket") is not None:
            if error.errno not in said:
                said.add(error.errno)
                logger.error("cannot accept a connection: %s (said once)", error)
            return
        loop.default_exception_handler(context)

    return handle


@contextlib.contextmanager
def running(options: Options) -> Iterator[LocalServer]:
    """A local server in a thread of its own, for tests and notebooks; it says its `port` and `rest_api_port`.

    Raises:
        ValueError: see LocalServer.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local server", daemon=True)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def make():
        return LocalServer(options)

    try:
        server = call(make())
        call(server.__aenter__())
        try:
            yield server
        finally:
            call(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
