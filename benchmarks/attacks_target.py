"""The server under attack, what is measured of it, and the truth that its answers are held against.

The server is a process of its own with a copy of the model. The truth is the same SavedModel in a session here: what
the server replies to a request that is odd, yet valid, must be what the session answers.
"""

import collections
import os
import pathlib
import re
import shutil
import signal
import tempfile

import numpy as np

from benchmarks import local_server
from export import versions
from serving.local_server.servable import Servable

REFERENCES = 8
QUEUE = 16
CLOSE = 1e-3  # of floats: a batch of another size may round otherwise

Usage = collections.namedtuple("Usage", "memory files")  # resident MiB, open file descriptors


class Truth:
    """A version of a model in a session of this process, and some pictures that honest clients ask for."""

    def __init__(self, folder):
        self.folder = folder
        self._servable = Servable(folder)
        self.signatures = self._servable.signatures
        self.requests = [
            {"digit": np.array([i], "int32"), "w": np.array([i / 2], "float32"), "seed": np.array([1000 * i])}
            for i in range(REFERENCES)
        ]
        self.images = [self._servable.run("sample", request)["image"] for request in self.requests]

    def ask(self, wire, tally, i):
        """Ask over a wire for the i-th picture, counted round and round; another picture is a fault."""
        i %= REFERENCES
        reply = tally.count(wire.predict(self.requests[i]))
        if reply.fine:
            tally.compare(reply, self.images[i])
        return reply

    def agrees(self, signature, inputs, answered):
        """Whether a reply is right: to the bit, but for the rounding of floats and of grey levels."""
        expected = self._servable.run(signature, inputs, sorted(answered))
        return all(_same(expected[alias], array) for alias, array in answered.items())

    def close(self):
        """Give the memory back."""
        self._servable.close()


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

    def newest(self):
        """Number of the highest numbered folder."""
        return max(int(path.name) for path in self.base.iterdir() if path.name.isdecimal())

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


def _same(expected, array):
    if expected.shape != array.shape:
        return False
    if expected.dtype.kind not in "fu":
        return np.array_equal(expected, array)
    finite = np.isfinite(expected) & np.isfinite(array)
    allowed = CLOSE * max(1.0, np.abs(expected[finite]).max(initial=0)) if expected.dtype.kind == "f" else 1
    return bool(np.all(np.abs(expected[finite].astype(float) - array[finite]) <= allowed))
