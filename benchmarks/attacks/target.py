"""The server under attack, what is measured of it, and the truth that its answers are held against.

The server is a process of its own with a copy of the model. The truth is the same SavedModel in a session here: what
the server replies to a request that is odd, yet valid, must be what the session answers.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import tempfile
import threading
import time

import numpy as np

from benchmarks.attacks.wires import FINE, ROUNDED, GrpcWire, RestWire
from benchmarks.serving import local_server
from export import versions
from serving.local_server.servable import Servable

REFERENCES = 8
QUEUE = 16
PATIENCE = 300  # seconds for a version to load, or an export to come as far as it must
CLOSE = 1e-3  # of floats: a batch of another size may round otherwise

Usage = collections.namedtuple("Usage", "memory files")  # resident MiB, open file descriptors


class Truth(Servable):
    """A version of a model in a session of this process, and some pictures that honest clients ask for."""

    def __init__(self, folder):
        super().__init__(folder)
        self.folder = folder
        self.requests = [
            {"digit": np.array([i], "int32"), "w": np.array([i / 2], "float32"), "seed": np.array([1000 * i])}
            for i in range(REFERENCES)
        ]
        self.images = [self.run("sample", request)["image"] for request in self.requests]

    def ask(self, wire, tally, i, *, may=(), rounded=ROUNDED):
        """Ask for picture i, counted round and round; another picture is a fault, and so is an error not in `may`."""
        i %= REFERENCES
        reply = tally.count(wire.predict(self.requests[i]), (*FINE, *may), " instead of a picture")
        if reply.fine:
            tally.compare(reply, self.images[i], rounded)

    def agrees(self, signature, inputs, answered):
        """Whether a reply is right: to the bit, but for the rounding of floats and of grey levels."""
        expected = self.run(signature, inputs, sorted(answered))
        return all(_same(expected[alias], array) for alias, array in answered.items())


class Target:
    """A local server in a process of its own, over a copy of the latest version of a model.

    Args:
        model_base_path: Folder of numbered versions; it is not touched.

    Raises:
        ValueError: if there is no version, or the server does not start.
    """

    def __init__(self, model_base_path):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="attacks-"))
        self.base = self._folder / "ddpm"
        shutil.copytree(versions.find(model_base_path), self.base / "1")
        self._log = self._folder / "server.log"
        flags = ("--model-base-path", str(self.base), "--poll", "0.2", "--queue", str(QUEUE))
        self.process, *addresses = local_server.start(*flags, log=self._log)
        self.port, self.rest_port = (int(address.rpartition(":")[2]) for address in addresses)

    @contextlib.contextmanager
    def wires(self):
        """A connection of each wire, gRPC's and REST's, for a block."""
        with contextlib.closing(GrpcWire(self.port)) as grpc_wire:
            yield grpc_wire, RestWire(self.rest_port)

    def usage(self):
        """Usage of the server's process now."""
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return Usage(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir(folder / "fd")))

    def alive(self):
        """Whether the process runs."""
        return self.process.poll() is None

    def raised(self):
        """What nobody expected, as the log has it: the last line of each traceback."""
        parts = self._log.read_text(errors="replace").split("Traceback (most recent call last)")[1:]
        return [next((line for line in part.splitlines()[1:] if re.match(r"[\w.]+(:|$)", line)), "?") for part in parts]

    def stop(self):
        """Ask the server to stop.

        Returns:
            Its exit status.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()
            self.process.communicate()
            shutil.rmtree(self._folder)


@contextlib.contextmanager
def clients(target, truth, tally, count, *, pause, rest=2, may=()):
    """Clients that ask for known pictures, again and again while the block runs, and once at least.

    Args:
        count, rest: So many clients, of which every `rest`-th uses REST and the others gRPC.
        pause: Seconds between two requests of a client, at most.
        may: Codes of errors that are no fault.
    """
    stop = threading.Event()

    def ask(i):
        with target.wires() as (grpc_wire, rest_wire):
            for picture in itertools.count(i):
                truth.ask(grpc_wire if i % rest else rest_wire, tally, picture, may=may)
                if tally.full() or stop.wait(random.uniform(0, pause)):
                    break

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        asked = pool.map(ask, range(count))
        try:
            yield
        finally:
            stop.set()
        list(asked)  # raises what was raised there


def wait(condition, *, seconds=PATIENCE, pause=0.1):
    """Ask again and again until a function gives something true, or for so long; returns what it gave last."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return met


def _same(expected, array):
    if expected.shape != array.shape:
        return False
    if expected.dtype.kind not in "fu":
        return np.array_equal(expected, array)
    finite = np.isfinite(expected) & np.isfinite(array)
    allowed = CLOSE * max(1.0, np.abs(expected[finite]).max(initial=0)) if expected.dtype.kind == "f" else 1
    return bool(np.all(np.abs(expected[finite].astype(float) - array[finite]) <= allowed))
