"""How fast a server answers: several clients that ask again and again, each over a connection of its own."""

import collections
import dataclasses
import threading
import time

import numpy as np

from serving.errors import ServingError

PAUSE = 0.01  # seconds after an error, so that a server that is down is not asked a million times


@dataclasses.dataclass
class Result:
    """What was measured.

    Args:
        clients: Clients at once.
        n: Images in a request.
        seconds: From the first request to the last answer.
        latencies: Seconds of each request that succeeded.
        errors: Counter of the names of errors.
    """

    clients: int
    n: int
    seconds: float
    latencies: list[float]
    errors: collections.Counter

    def __str__(self):
        what = f"{self.clients} clients, {self.seconds:.1f} s, n = {self.n}: {len(self.latencies)} requests"
        errors = ", ".join(f"{name} {count}" for name, count in sorted(self.errors.items())) or "none"
        if not self.latencies:
            return f"{what}; errors: {errors}"
        p50, p99 = (1e3 * np.percentile(self.latencies, q) for q in (50, 99))
        rate = len(self.latencies) * self.n / self.seconds
        return f"{what}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {rate:.1f} images/s; errors: {errors}"


def measure(make_client, *, clients, seconds, n):
    """Ask for n images at a time, from several threads, for some seconds.

    Args:
        make_client: Called for each thread's own `Client`.
        clients: Number of threads.
        seconds: How long requests are started.
        n: Images in a request.

    Returns:
        `Result`.

    Raises:
        ServingError: if the server does not answer a first request.
    """
    made = []
    try:
        for _ in range(clients):
            made.append(make_client())
            made[-1].sample(0)  # connects, and learns of the model, before the clock starts
        latencies, errors = [], collections.Counter()
        start = time.monotonic()
        work = [threading.Thread(target=_ask, args=(c, start + seconds, n, latencies, errors)) for c in made]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        return Result(clients, n, time.monotonic() - start, latencies, errors)
    finally:
        for client in made:
            client.close()


def _ask(client, end, n, latencies, errors):
    digit = np.arange(n) % client.metadata()["num_classes"]
    while (start := time.monotonic()) < end:
        try:
            client.sample(digit)
        except ServingError as error:
            errors[type(error).__name__] += 1
            time.sleep(PAUSE)
        else:
            latencies.append(time.monotonic() - start)
