"""One deadline for a whole call, however many requests and tries it takes.

A request without a deadline can hang for ever, so there is always one, and it travels with the request. Trying again is
safe because sampling is a pure function of its inputs; it helps only where the server did no work: it was not there, or
its queue was full. The wait between tries doubles, with jitter, so that clients do not come back all at once.
"""

import math
import numbers
import random
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import DeadlineExceeded, Overloaded, Unavailable, invalid

Result = TypeVar("Result")

LONGEST = 1e6  # seconds; gRPC cannot express much more
ANY_REQUEST = 10.0  # seconds for any request, with time to wait in a queue
NETWORK_CALL = 0.05  # seconds for one image in one step, ten times what a slow processor needs
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between tries


class Deadline:
    """A point in time.

    Args:
        seconds: From now; finite and positive.

    Raises:
        InvalidRequest: for any other number.
    """

    def __init__(self, seconds: float):
        if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or not 0 < seconds < math.inf:
            raise invalid("deadline", "a finite, positive number of seconds", seconds)
        self.seconds: float = min(float(seconds), LONGEST)
        self.end: float = time.monotonic() + self.seconds

    def left(self) -> float:
        """Seconds left, more than 0.

        Raises:
            DeadlineExceeded: when the time is up.
        """
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise DeadlineExceeded(f"No answer within {self.seconds:g} s")
        return seconds


def default_seconds(rows: int, steps: int) -> float:
    """Seconds that are enough for `rows` images of `steps` steps on a slow machine."""
    return min(ANY_REQUEST + NETWORK_CALL * rows * steps, LONGEST)


# Not gRPC's own retries (a service config): they cannot tell a full queue from a message over our size limit, which has
# the same code and would be sent, and drawn, five times; they stop at five tries; and REST needs this loop anyway.
def with_retries(
    call: Callable[[float], Result], deadline: Deadline, retries: int, *, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Call, with the seconds left, until it succeeds; the deadline is that of all tries and the waits between them.

    Raises:
        ServingError: the first one that another try cannot help, or that of the last try.
    """
    for tried in range(retries + 1):
        try:
            return call(deadline.left())
        except (Unavailable, Overloaded) as error:
            wait = min(FIRST_WAIT * 2 ** min(tried, 10), LONGEST_WAIT) * random.uniform(0.5, 1.0)
            if tried == retries or time.monotonic() + wait >= deadline.end:
                tries = f" ({tried + 1} tries)" if tried else ""
                raise type(error)(f"{error}{tries}", code=error.code) from error
        sleep(wait)
    raise AssertionError("the last try returns or raises")
