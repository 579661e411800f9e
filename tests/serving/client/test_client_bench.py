"""The measure of a server's speed: what is computed from latencies."""

import collections
import math

import pytest

from serving.client import bench


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
