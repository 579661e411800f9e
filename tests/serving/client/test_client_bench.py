"""The measure of a server's speed: what is computed from latencies, and that no client's count is lost."""

import collections
import math

import pytest

from serving.client import bench
from serving.client.errors import Overloaded


def result(latencies, **errors):
    return bench.Result(4, 3, 2.0, latencies, collections.Counter(errors))


def test_latencies_become_milliseconds_and_images_a_second():
    measured = result([i / 100 for i in range(101)], Overloaded=2)
    assert (measured.p50, measured.p99, measured.rate) == (pytest.approx(500), pytest.approx(990), 101 * 3 / 2)
    assert str(measured) == (
        "4 clients, 2.0 s, n = 3: 101 requests, p50 500.0 ms, p99 990.0 ms, 151.5 images/s; errors: Overloaded 2"
    )


def test_without_an_answer_there_is_no_latency():
    measured = result([])
    assert math.isnan(measured.p50) and math.isnan(measured.p99) and measured.rate == 0
    assert str(measured) == "4 clients, 2.0 s, n = 3: 0 requests; errors: none"


class Fake:
    """A client that is refused every second request."""

    def __init__(self):
        self.asked, self.closed = 0, False

    def metadata(self):
        return {"num_classes": 10}

    def sample(self, digit):
        self.asked += 1
        if self.asked % 2 == 0:
            raise Overloaded("full")

    def close(self):
        self.closed = True


def test_each_clients_requests_and_errors_are_counted(monkeypatch):
    monkeypatch.setattr(bench, "PAUSE", 0)
    made = []

    def make():
        made.append(Fake())
        return made[-1]

    measured = bench.measure(make, clients=8, seconds=0.2, n=1)
    refused = sum(client.asked // 2 for client in made)
    assert measured.errors == {"Overloaded": refused} and refused
    assert len(measured.latencies) == sum(client.asked for client in made) - refused - 8  # less the first of each
    assert len(made) == 8 and all(client.closed for client in made)


def test_errors_in_the_client_are_raised():
    class Broken(Fake):
        def sample(self, digit):
            self.asked += 1
            if self.asked > 1:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.measure(Broken, clients=2, seconds=0.2, n=1)
