"""How fast a server answers: several clients that ask again and again, each over a connection of its own."""

import collections
import concurrent.futures
import dataclasses
import itertools
import math
import time
from collections.abc import Callable

import numpy as np

from .client import Client
from .errors import ServingError

PAUSE = 0.01  # seconds after an error, so that a server that is down is not asked a million times


@dataclasses.dataclass
class Result:
    """What was measured."""

    clients: int  # at once
    n: int  # images in a request
    seconds: float  # from the first request to the last answer
    latencies: list[float]  # seconds of each request that succeeded
    errors: collections.Counter  # by their names

    @property
    def p50(self) -> float:
        """Median latency, ms; NaN if no request succeeded."""
        return self._percentile(50)

    @property
    def p99(self) -> float:
        """Latency that one request in a hundred exceeds, ms; NaN if no request succeeded."""
        return self._percentile(99)

    @property
    def rate(self) -> float:
        """Images a second."""
        return len(self.latencies) * self.n / self.seconds

    def __str__(self) -> str:
        what = f"{self.clients} clients, {self.seconds:.1f} s, n = {self.n}: {len(self.latencies)} requests"
        if self.latencies:
            what += f", p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, {self.rate:.1f} images/s"
        return (
            f"{what}; errors: {', '.join(f'{name} {count}' for name, count in sorted(self.errors.items())) or 'none'}"
        )

    def _percentile(self, q):
        return 1e3 * float(np.percentile(self.latencies, q)) if self.latencies else math.nan


def measure(make_client: Callable[[], Client], *, clients: int, seconds: float, n: int) -> Result:
    """Ask for n images at a time, from several threads, for some seconds.

    Args:
        make_client: Called for each thread's own `Client`.
        clients: Number of threads.
        seconds: How long requests are started.
        n: Images in a request.

    Raises:
        ServingError: if the server does not answer a first request.
    """
    made: list[Client] = []
    try:
        for _ in range(clients):
            made.append(make_client())
            made[-1].sample(0)  # connects, and learns about the model, before the clock starts
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            start = time.monotonic()
            measured = list(pool.map(lambda client: _ask(client, start + seconds, n), made))
            taken = time.monotonic() - start
        latencies, errors = zip(*measured)
        return Result(clients, n, taken, list(itertools.chain(*latencies)), sum(errors, collections.Counter()))
    finally:
        for client in made:
            client.close()


def _ask(client, end, n):
    """Latencies and errors of one client, which no other thread uses."""
    latencies, errors = [], collections.Counter()
    digit = np.arange(n) % client.metadata()["num_classes"]
    while (start := time.monotonic()) < end:
        try:
            client.sample(digit)
        except ServingError as error:
            errors[type(error).__name__] += 1
            time.sleep(PAUSE)
        else:
            latencies.append(time.monotonic() - start)
    return latencies, errors
