"""Goodput of the local server: pictures that arrive before their deadlines, against the load that is offered.

    python -m export --out models/ddpm
    python -m benchmarks.serving.goodput --model-base-path models/ddpm --out goodput.png

Requests of one image come at random times (a Poisson process), whether or not the server keeps up, each with a
deadline of 1 to 4 s. A server that collapses under overload works on requests that are dead already; one that does not
answers as many as at its capacity, and refuses the others at once. Capacity is what 16 clients get that ask again and
again.
"""

import collections
import dataclasses
import pathlib
import random
import tempfile
import threading
import time
from functools import partial

import grpc
import matplotlib
import numpy as np
import tensorflow as tf
import tyro
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks import machine
from benchmarks.serving import local_server
from serving.client import Client
from serving.client.bench import measure


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Offer more and more load to a local server, and plot what it answers in time."""

    model_base_path: pathlib.Path = pathlib.Path("models/ddpm")
    seconds: float = 20.0
    """How long each load is offered."""
    loads: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0)
    """In units of the capacity."""
    deadlines: tuple[float, float] = (1.0, 4.0)
    """Seconds, from and to."""
    out: pathlib.Path = pathlib.Path("goodput.png")


def capacity(address, seconds):
    """Images a second of 16 clients that ask again and again."""
    return measure(partial(Client, address, retries=0), clients=16, seconds=seconds, n=1).rate


def offer(address, rate, seconds, deadlines):
    """Send requests at random times.

    Args:
        address: Of gRPC.
        rate: Requests a second.
        seconds: For how long.
        deadlines: Seconds, from and to.

    Returns:
        Counter of status codes.
    """
    codes, pending = collections.Counter(), []
    done = threading.Semaphore(0)
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        start = at = time.monotonic()
        while (at := at + random.expovariate(rate)) < start + seconds:
            time.sleep(max(0.0, at - time.monotonic()))
            call = stub.Predict.future(_request(len(pending)), timeout=random.uniform(*deadlines))
            call.add_done_callback(lambda _: done.release())
            pending.append(call)
        for _ in pending:
            done.acquire()
        codes.update(call.code().name for call in pending)
    return codes


def _request(i):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "ddpm", "sample"
    for name, value, dtype in (("digit", i % 10, "int32"), ("w", 2.0, "float32"), ("seed", i, "int64")):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(np.array([value], dtype)))
    return request


def plot(points, full, out):
    """Goodput against offered load, images a second.

    Args:
        points: list of (offered, answered in time).
        full: Capacity.
        out: Path of the picture.
    """
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    top = max(offered for offered, _ in points)
    axes.plot([0, full, top], [0, full, full], color="0.7", label="capacity")
    axes.plot(*zip(*points), marker="o", label="local server")
    axes.set(xlabel="offered, images/s", ylabel="answered in time, images/s", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(out, dpi=150)


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        flags = ("--model-base-path", str(arguments.model_base_path))
        process, address, _ = local_server.start(*flags, log=pathlib.Path(folder) / "server.log")
        try:
            full, points = capacity(address, arguments.seconds), []
            print(
                f"capacity {full:.1f} images/s\n| offered | answered in time | share of capacity | codes |\n"
                + "|---" * 4
                + "|"
            )
            for load in arguments.loads:
                codes = offer(address, load * full, arguments.seconds, arguments.deadlines)
                offered, answered = (n / arguments.seconds for n in (sum(codes.values()), codes["OK"]))
                points.append((offered, answered))
                said = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
                print(f"| {offered:.1f} | {answered:.1f} | {answered / full:.0%} | {said} |", flush=True)
        finally:
            process.terminate()
            process.wait()
    plot(points, full, arguments.out)


if __name__ == "__main__":
    main()
