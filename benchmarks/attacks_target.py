"""The server under attack, what is measured of it, and the truth that its answers are held against.

The server is a process of its own with a copy of the model. The truth is the same SavedModel in a session here: what
the server answers to a request that is odd, yet valid, must be what the session answers.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a process holds.

    Args:
        memory: Resident, MiB.
        files: Open file descriptors.
        threads: Threads.
    """

    memory: float
    files: int
    threads: int


class Truth:
    """A version of a model in a session of this process, and some pictures that honest clients ask for.

    Args:
        folder: A version's folder.
    """

    def __init__(self, folder):
        self.folder = folder
        self._servable = Servable(folder)
        self.signatures = self._servable.signatures
        self.requests = [_rows(digit=i, w=i / 2, seed=1000 * i) for i in range(REFERENCES)]
        self.images = [self.answer("sample", request)["image"] for request in self.requests]

    def answer(self, signature, inputs, outputs=None):
        """What the model answers, by `Servable.run`."""
        return self._servable.run(signature, inputs, outputs)

    def agrees(self, signature, inputs, answered):
        """Whether an answer is right: to the bit, but for the rounding of floats and of grey levels.

        Args:
            signature: Name of the signature.
            inputs: dict of alias -> array, as they were sent.
            answered: dict of alias -> array.

        Returns:
            bool.
        """
        expected = self.answer(signature, inputs, sorted(answered))
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
        self.log = self._folder / "server.log"
        flags = ("--model-base-path", str(self.base), "--poll", "0.2", "--queue", str(QUEUE))
        self.process, *addresses = local_server.start(*flags, log=self.log)
        self.port, self.rest_port = (int(address.rpartition(":")[2]) for address in addresses)

    def usage(self):
        """Usage of the server's process now."""
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        memory = int(status["VmRSS"].split()[0]) / 1024
        return Usage(memory, len(os.listdir(folder / "fd")), int(status["Threads"]))

    def alive(self):
        """Whether the process runs."""
        return self.process.poll() is None

    def raised(self):
        """What nobody expected, as the log has it: the last line of each traceback."""
        parts = self.log.read_text(errors="replace").split("Traceback (most recent call last)")[1:]
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
            self.process.wait()
            self.process.stdout.close()
            shutil.rmtree(self._folder)


def _rows(*, digit, w, seed):
    return {"digit": np.array([digit], "int32"), "w": np.array([w], "float32"), "seed": np.array([seed], "int64")}


def _same(expected, array):
    if expected.shape != array.shape:
        return False
    if expected.dtype == np.uint8:
        return bool(np.all(np.abs(expected.astype(int) - array) <= 1))
    if expected.dtype.kind != "f":
        return np.array_equal(expected, array)
    finite = np.isfinite(expected) & np.isfinite(array)
    largest = max(1.0, np.abs(expected[finite]).max(initial=0))
    return bool(np.all(np.abs(expected[finite] - array[finite]) <= CLOSE * largest))
