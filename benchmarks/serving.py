"""Serving: latency and throughput of the local server, beside a plain loop over `keras_ddpm.sample`.

    python -m export --out models/ddpm
    python -m benchmarks.serving --model-base-path models/ddpm

The local server is not TensorFlow Serving; these are its figures.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tyro

from benchmarks import machine
from serving.bench import measure
from serving.client import Client

CLIENTS = (1, 4, 16)


@dataclasses.dataclass(frozen=True)
class Arguments:
    model_base_path: pathlib.Path = pathlib.Path("models/ddpm")
    seconds: float = 20.0
    """How long each row is measured."""


@contextlib.contextmanager
def local_server(*flags):
    """A local server in a process of its own; yields (gRPC address, REST address)."""
    command = [sys.executable, "-m", "serving.server", "--port", "0", "--rest-api-port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = re.search(r"gRPC (\S+), REST (http://[^/]+)/", process.stdout.readline())
        if not ready:
            raise SystemExit(f"error: the local server did not start: {' '.join(command)}")
        yield ready.groups()
    finally:
        process.terminate()
        process.wait()


def one_by_one(call, seconds):
    """Latencies of a call that is repeated for some seconds, after one that warms up."""
    call()
    latencies, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        latencies.append(time.perf_counter() - before)
    return latencies


def row(name, latencies):
    """One line of the table for a plain loop."""
    p50, p99 = (1e3 * np.percentile(latencies, q) for q in (50, 99))
    return f"| {name} | 1 | {p50:.1f} | {p99:.1f} | {len(latencies) / sum(latencies):.1f} |"


def overhead(path, address, signature, *, rounds):
    """Median milliseconds of `session.run` and of gRPC at N = 1.

    Both doors are asked in turn, so that the machine's moods hit both. `sample` is what people ask for; `denoise` calls
    the network once, and carries three images of floats.
    """
    from export import versions
    from serving.servable import Servable

    servable = Servable(versions.find(path))
    with Client(address) as client:
        x_t = np.zeros((1, *client.metadata()["image_shape"]), "float32")
        row = {"digit": np.ones(1, "int32"), "w": np.ones(1, "float32")}
        own = {"sample": {"seed": np.zeros(1, "int64")}, "denoise": {"x_t": x_t, "t": np.zeros(1, "int32")}}
        request = row | own[signature]
        doors = {
            "session": lambda: servable.run(signature, request),
            "gRPC": lambda: client.predict(signature, request),
        }
        latencies = {name: [] for name in doors}
        for _ in range(rounds):
            for name, call in doors.items():
                start = time.perf_counter()
                call()
                latencies[name].append(1e3 * (time.perf_counter() - start))
    servable.close()
    return {name: float(np.median(values[rounds // 10 :])) for name, values in latencies.items()}


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    import keras_ddpm

    base, seconds = ("--model-base-path", str(arguments.model_base_path)), arguments.seconds
    print(machine.describe())
    print("| door | clients | p50 ms | p99 ms | images/s |\n|---|---|---|---|---|", flush=True)
    print(row("plain loop over keras_ddpm.sample", one_by_one(lambda: keras_ddpm.sample(7), seconds)), flush=True)
    rates = {}
    for batching, flags in (("", ()), (", one request after the other", ("--batch-rows", "0"))):
        with local_server(*base, *flags) as addresses:
            for wire, address in zip(("gRPC", "REST"), addresses):
                for clients in CLIENTS if not batching else CLIENTS[-1:]:
                    result = measure(lambda a=address: Client(a, retries=0), clients=clients, seconds=seconds, n=1)
                    if result.errors:
                        raise SystemExit(f"error: {result}")
                    p50, p99 = (1e3 * np.percentile(result.latencies, q) for q in (50, 99))
                    rates[wire + batching, clients] = rate = len(result.latencies) / result.seconds
                    print(f"| {wire}{batching} | {clients} | {p50:.1f} | {p99:.1f} | {rate:.1f} |", flush=True)
            if not batching:
                added = {
                    name: overhead(arguments.model_base_path, addresses[0], name, rounds=rounds)
                    for name, rounds in (("sample", 100), ("denoise", 300))
                }
    gain = rates["gRPC", 16] / rates["gRPC, one request after the other", 16]
    print(f"\nbatching across 16 clients: {gain:.1f} x the throughput of one by one")
    for name, ms in added.items():
        print(
            f"{name}, N = 1: session {ms['session']:.2f} ms, gRPC {ms['gRPC']:.2f} ms, "
            f"the wire adds {ms['gRPC'] - ms['session']:.2f} ms"
        )


if __name__ == "__main__":
    main()
