"""The local server as a program: its command line, its signals, its end."""

import asyncio
import logging
import os
import signal
import sys

import tensorflow as tf

from . import server
from .options import Options
from .server import LocalServer, address

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def serve(options: Options) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; a second signal ends the program at once, whatever runs.

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
    local = LocalServer(options)
    await _start_or_leave(local, signalled)
    scheme = "http" if options.ssl_config_file is None else "https"
    _say(
        f"Local server ready: model {options.model_name!r}, gRPC {address(options.host, local.port)}, "
        f"REST {scheme}://{address(options.host, local.rest_api_port)}/v1/models/{options.model_name}"
    )
    await signalled.wait()
    logger.info("stopping")
    loading = local.is_loading()
    await local.stop()
    if loading:
        _leave()


async def _start_or_leave(local, signalled):
    start, leave = asyncio.ensure_future(local.__aenter__()), asyncio.ensure_future(signalled.wait())
    await asyncio.wait([start, leave], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        logger.info("stopping before a version is served")
        _leave()
    leave.cancel()
    start.result()


def _say(line):
    try:
        print(line, flush=True)
    except (OSError, ValueError) as error:  # stdout is full or closed; the server serves all the same
        logger.warning("%s (stdout: %s)", line, error)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (else the interpreter fails on it at the end)


def _leave():
    """End the program under a version that loads, which would keep the interpreter until it is done."""
    logging.shutdown()
    os._exit(0)


def main(args: list[str] | None = None) -> int:
    """The command line; see Options.

    Returns:
        Exit status: 0 after a signal, 2 for options that are wrong.
    """
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    tf.get_logger().setLevel("ERROR")  # the loader calls itself deprecated
    try:
        asyncio.run(serve(tyro.cli(Options, args=args, description=server.__doc__)))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
