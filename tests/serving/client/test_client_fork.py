"""Laws of a client over a fork: nothing is shared with a child process, and nothing hangs there."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_serving import FakeModel, grpc_server, rest_server

ROOT = Path(__file__).parents[3]
FORK = """
import os, sys, time
from serving.client import Client

def forked(work):
    if not (pid := os.fork()):
        try:
            os._exit(int(work()))
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(99)
    return pid

def result(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def wrong(digit, rounds=40):
    seeds = range(50 * digit, 50 * digit + rounds)
    return sum(client.sample(digit, seed=seed).images[0, 0, [0, 2]].tolist() != [digit, seed] for seed in seeds)

client = Client(sys.argv[1], deadline=10)
"""


@pytest.fixture
def model():
    return FakeModel()


def run(address, code):
    """What a script prints that forks; it runs alone, since a fork of the test's own process would copy its threads."""
    command = [sys.executable, "-c", FORK + code, address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_children_draw_their_own_pictures_over_connections_of_their_own(model):
    code = """
client.sample(0, seed=0)  # a connection is kept
children = [forked(lambda: wrong(digit)) for digit in (1, 2, 3)]
print(wrong(4), *map(result, children))
"""
    with rest_server(model) as address:
        assert run(address, code) == ["0", "0", "0", "0"]
    assert len(model.connections) == 4


def test_children_send_chunks_and_futures_from_threads_of_their_own(model):
    code = """
chunks = lambda: client.sample([5] * 9, seed=range(9)).images[:, 0, 2].tolist() != list(range(9))
future = lambda: client.submit(5, seed=6).result(20).images[0, 0, 2] != 6
print(chunks(), future())  # threads have started
print(result(forked(chunks)), result(forked(future)))
"""
    with rest_server(model) as address:
        assert run(address, code) == ["False", "False", "0", "0"]


def test_closing_in_a_child_leaves_the_parent_open(model):
    code = """
client.sample(0, seed=0)
print(result(forked(lambda: client.close())))
print(wrong(1, rounds=1))
client.close()
print(result(forked(lambda: client.sample(0))))
"""
    with rest_server(model) as address:
        assert run(address, code.replace("client.close())))", "client.close() or 0)))")) == ["0", "0", "99"]
    assert len(model.connections) == 1


def test_a_grpc_client_says_in_a_child_that_it_cannot_be_used_there(model):
    code = """
def fails():
    start = time.monotonic()
    try:
        client.sample(1)
    except Exception as error:
        print(type(error).__name__, error.code, "after a fork" in str(error), time.monotonic() - start < 1, flush=True)
    return 0

client.sample(0, seed=0)
print(result(forked(fails)), wrong(1, rounds=3))
"""
    with grpc_server(model) as address:
        assert run(address, code) == ["ServingError", "FAILED_PRECONDITION", "True", "True", "0", "0"]
