"""Serving: latency and throughput of the local server, beside a plain loop over `keras_ddpm.sample`.

    python -m export --out models/ddpm
    python -m benchmarks.serving.latency --model-base-path models/ddpm

The local server is not TensorFlow Serving; these are its figures.
"""

import collections
import contextlib
import dataclasses
import pathlib
import tempfile
import time
from functools import partial

import numpy as np
import tyro

import keras_ddpm
from benchmarks import machine
from benchmarks.serving import local_server
from export import versions
from serving.client import Client
from serving.client.bench import Result, measure
from serving.local_server.servable import Servable

CLIENTS = (1, 4, 16)
ROUNDS = {"sample": 100, "denoise": 300}


@dataclasses.dataclass(frozen=True)
class Arguments:
    model_base_path: pathlib.Path = pathlib.Path("models/ddpm")
    preset: str = "mnist"
    """What was exported; the plain loop draws with it."""
    seconds: float = 20.0
    """How long each row is measured."""


@contextlib.contextmanager
def serving(*flags):
    """A local server; yields (gRPC address, REST address)."""
    with tempfile.TemporaryDirectory() as folder:
        process, *addresses = local_server.start(*flags, log=pathlib.Path(folder) / "server.log")
        try:
            yield addresses
        finally:
            process.terminate()
            process.wait()


def one_by_one(call, seconds):
    """A `Result` of a call that is repeated for some seconds, after one that warms up."""
    call()
    latencies, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        latencies.append(time.perf_counter() - before)
    return Result(1, 1, sum(latencies), latencies, collections.Counter())


def print_row(way, result):
    """One line of the table."""
    figures = f"{result.p50:.1f} | {result.p99:.1f} | {result.rate:.1f}"
    print(f"| {way} | {result.clients} | {figures} |", flush=True)


def overhead(path, address):
    """Print the median milliseconds of `session.run` and of gRPC at N = 1.

    Both are asked in turn, so that noise hits both. `sample` is what people ask for; `denoise` calls
    the network once, and carries three images of floats.
    """
    with contextlib.closing(Servable(versions.find(path))) as servable, Client(address) as client:
        row = {"digit": np.ones(1, "int32"), "w": np.ones(1, "float32")}
        x_t = np.zeros((1, *client.metadata()["image_shape"]), "float32")
        asked = {
            "sample": row | {"seed": np.zeros(1, "int64")},
            "denoise": row | {"x_t": x_t, "t": np.zeros(1, "int32")},
        }
        for signature, request in asked.items():
            session = partial(servable.run, signature, request)
            wire = partial(client.predict, signature, request)
            direct, served = in_turn(session, wire, rounds=ROUNDS[signature])
            print(
                f"{signature}, N = 1: session {direct:.2f} ms, gRPC {served:.2f} ms, "
                f"the wire adds {served - direct:.2f} ms",
                flush=True,
            )


def in_turn(*calls, rounds):
    """Median milliseconds of each call; the first tenth of the rounds warms up."""
    latencies = np.empty((rounds, len(calls)))
    for i in range(rounds):
        for j, call in enumerate(calls):
            start = time.perf_counter()
            call()
            latencies[i, j] = 1e3 * (time.perf_counter() - start)
    return np.median(latencies[rounds // 10 :], axis=0)


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    base, seconds = ("--model-base-path", str(arguments.model_base_path)), arguments.seconds
    print(machine.describe())
    print("| way in | clients | p50 ms | p99 ms | images/s |\n|---|---|---|---|---|", flush=True)
    loop = partial(keras_ddpm.sample, 7, preset=arguments.preset)
    print_row("plain loop over keras_ddpm.sample", one_by_one(loop, seconds))
    rates = {}
    for batching, flags in (("", ()), (", one request after the other", ("--batch-rows", "0"))):
        with serving(*base, *flags) as addresses:
            for wire, address in zip(("gRPC", "REST"), addresses):
                for clients in CLIENTS if not batching else CLIENTS[-1:]:
                    result = measure(partial(Client, address, retries=0), clients=clients, seconds=seconds, n=1)
                    if result.errors:
                        raise SystemExit(f"error: {result}")
                    rates[wire + batching, clients] = result.rate
                    print_row(wire + batching, result)
            if not batching:
                overhead(arguments.model_base_path, addresses[0])
    gain = rates["gRPC", 16] / rates["gRPC, one request after the other", 16]
    print(f"\nbatching across 16 clients: {gain:.1f} x the throughput of one by one")


if __name__ == "__main__":
    main()
