"""Waiting for a server that is about to start: ready means that the model is AVAILABLE, not that somebody listens."""

import time

from serving.errors import DeadlineExceeded, NotFound, Overloaded, Unavailable
from serving.status import AVAILABLE

FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0  # seconds between questions
ANSWER = 5.0  # seconds for one answer


def wait_until_available(connection, deadline):
    """Ask for the status until a version is AVAILABLE.

    Args:
        connection: `Connection`.
        deadline: `Deadline`.

    Raises:
        DeadlineExceeded: saying what the server answered last.
        InvalidRequest: if waiting cannot help.
    """
    wait, last = FIRST_WAIT, "none"
    while (left := deadline.end - time.monotonic()) > 0:
        try:
            versions = connection.status_once(min(left, ANSWER))
            last = "; ".join(map(str, versions)) or "no version"
            if any(version.state == AVAILABLE for version in versions) and connection.label_is_known(min(left, ANSWER)):
                return
        except (Unavailable, Overloaded, NotFound, DeadlineExceeded) as error:
            last = str(error)
        time.sleep(max(0.0, min(wait, deadline.end - time.monotonic())))
        wait = min(2 * wait, LONGEST_WAIT)
    target = connection.target
    which = target.model if target.label is None else f"{target.model} ({target.label})"
    where = f"{which} at {connection.address}"
    raise DeadlineExceeded(f"{where} is not ready after {deadline.seconds:g} s. Last answer: {last}")
