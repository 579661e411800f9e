"""A local server in a process of its own, for the benchmarks and the attacks."""

import re
import subprocess
import sys


def start(*flags, log):
    """Start `python -m serving.server` on free ports and wait until it serves.

    Args:
        flags: Of the server, beside its ports.
        log: Path of the file that its messages go to.

    Returns:
        The process, whose stdout is a pipe, its gRPC address and its REST address.

    Raises:
        ValueError: if it does not start, with the end of what it said.
    """
    command = [sys.executable, "-m", "serving.server", "--port", "0", "--rest-api-port", "0", *flags]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    ready = re.search(r"gRPC (\S+), REST (http://[^/]+)/", process.stdout.readline())
    if not ready:
        process.kill()
        process.wait()
        raise ValueError(f"The local server did not start: {log.read_text()[-2000:]}")
    return process, *ready.groups()
