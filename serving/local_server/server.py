"""The local server: TensorFlow Serving's wire surface for laptops and tests.

    python -m serving.server --model-base-path models/ddpm

It speaks the same protocol (gRPC and REST) and runs the model in the same C++ runtime. It is no TensorFlow Serving, and
what is measured or shown here says nothing about that one: production has `serving/deploy/`.

One event loop answers everybody; the model runs in a few threads beside it, since TensorFlow lets Python go on.

What clients send is bounded before it is read: requests by their size, over gRPC also by their number.
"""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import threading

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from .grpc_services import MAX_REQUEST, ModelService, ParseErrors, PredictionService
from .options import Options
from .rest import RestServer
from .tensors import MAX_RESPONSE
from .tls import read_credentials
from .version import Version
from .versions import Versions

logger = logging.getLogger(__name__)

CALLS, CALLS_PER_PLACE = 64, 4  # gRPC calls at once, of any kind: so many, and so many for each place in a queue
SIGNALS = (signal.SIGTERM, signal.SIGINT)
HEALTHY = ("", "tensorflow.serving.PredictionService")  # "" is the whole server


class LocalServer:
    """A server in the running event loop: `async with LocalServer(options) as server: ...`.

    Args:
        options: Options.

    Raises:
        ValueError: if an option cannot be; on entering, if a port is taken, TLS is wrong, or no version loads within
            `options.wait` seconds.
    """

    def __init__(self, options):
        options.check()
        self._options = options
        self._stopping = asyncio.Event()
        load = functools.partial(Version, batch_rows=options.batch_rows, queue=options.queue)
        self._versions = Versions(options.model_name, options.model_base_path, load)
        self._grpc = None
        self._rest = RestServer(self._versions, timeout=options.timeout)
        self._health = health.aio.HealthServicer()
        self._watch = None
        self.port = self.rest_api_port = None

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

    async def stop(self):
        """Refuse new requests, finish the running ones, and give everything back."""
        self._stopping.set()
        await self._health.enter_graceful_shutdown()
        stopping = [self._rest.stop()]
        if self._grpc is not None:
            stopping.append(self._grpc.stop(self._options.timeout))
        await asyncio.gather(*stopping)
        if self._watch is not None:  # last, since it may be loading a version
            await self._watch
        await self._versions.close()

    async def _start(self):
        options = self._options
        limits = {"grpc.max_send_message_length": MAX_RESPONSE, "grpc.max_receive_message_length": MAX_REQUEST}
        alone = {"grpc.so_reuseport": 0}  # two servers at one port would share its requests in silence
        self._grpc = grpc.aio.server(
            interceptors=[ParseErrors()],
            options=list((limits | alone).items()),
            maximum_concurrent_rpcs=CALLS + CALLS_PER_PLACE * options.queue,
        )
        prediction = PredictionService(self._versions, timeout=options.timeout, tensor_content=options.tensor_content)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._versions), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.port = self._add_port(f"{options.host}:{options.port}")
        await self._grpc.start()
        self.rest_api_port = await self._rest.start(options.host, options.rest_api_port)

    def _add_port(self, address):
        try:
            if self._options.ssl_config_file is None:
                return self._grpc.add_insecure_port(address)
            credentials = read_credentials(self._options.ssl_config_file)
            return self._grpc.add_secure_port(address, credentials)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"cannot listen at {address}: {error}") from error

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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._options.poll)
                return
            try:
                await self._versions.scan()
            except Exception:
                logger.exception("looking for versions failed")

    async def _set_health(self, status):
        for service in HEALTHY:
            await self._health.set(service, status)


@contextlib.contextmanager
def running(options):
    """A local server in a thread of its own, for tests and notebooks.

    Args:
        options: Options.

    Yields:
        LocalServer, for its `port` and `rest_api_port`.

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


async def serve(options):
    """Serve until SIGTERM or SIGINT; a second signal ends the program at once, whatever runs.

    Args:
        options: Options.

    Raises:
        ValueError: see LocalServer.
    """
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()

    def stop():
        signalled.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    server = LocalServer(options)
    await _start_or_leave(server, signalled)
    print(
        f"Local server ready: model {options.model_name!r}, gRPC {options.host}:{server.port}, "
        f"REST http://{options.host}:{server.rest_api_port}/v1/models/{options.model_name}",
        flush=True,
    )
    await signalled.wait()
    logger.info("stopping")
    await server.stop()


async def _start_or_leave(server, signalled):
    start, leave = asyncio.ensure_future(server.__aenter__()), asyncio.ensure_future(signalled.wait())
    await asyncio.wait([start, leave], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        logger.info("stopping before a version is served")
        logging.shutdown()
        os._exit(0)  # nobody waits for an answer, and a version that loads would keep the interpreter until it is done
    leave.cancel()
    start.result()


def main(args=None):
    """The command line; see Options.

    Returns:
        Exit status: 0 after a signal, 2 for options that cannot be.
    """
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    tf.get_logger().setLevel("ERROR")  # the loader calls itself deprecated
    try:
        asyncio.run(serve(tyro.cli(Options, args=args, description=__doc__)))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
