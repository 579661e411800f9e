"""How many replicas a load needs: the rate of one exported model on this machine, and what follows from it.

    python -m export --preset mnist_fast --out models/fast
    python -m benchmarks.serving.capacity --model-base-path models/fast --wanted 10000

Measured: batches of every size that the export allows, run in TensorFlow's C++ runtime by as many threads as there are
cores, each of which waits for its own batch. TensorFlow Serving runs the same graph in the same runtime; its own share
of the work, a proxy and the network are not in the figures. Calculated: everything else.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
import time

import numpy as np
import tyro

from benchmarks import machine
from export import metadata, versions, warmup
from serving.local_server.servable import Servable


@dataclasses.dataclass(frozen=True)
class Arguments:
    model_base_path: pathlib.Path = pathlib.Path("models/ddpm")
    wanted: float = 10_000.0
    """Digits a second in all."""
    seconds: float = 5.0
    """How long each batch size is measured."""
    pod_cores: int = 4
    """Cores of a replica; serving/deploy/kubernetes has four."""
    utilization: float = 0.7
    """Share of the processor that the autoscaler aims at."""
    latency: float = 0.5
    """Seconds that a request may take, queue and batch together."""


def rate(servable: Servable, request: dict, *, threads: int, seconds: float) -> tuple[float, float]:
    """Images a second of several threads that each run one batch after the other, and the median seconds of a batch."""

    def work(end):
        taken = []
        while time.perf_counter() < end:
            start = time.perf_counter()
            servable.run("sample", request)
            taken.append(time.perf_counter() - start)
        return taken

    servable.run("sample", request)
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        taken = [*itertools.chain(*pool.map(work, [start + seconds] * threads))]
    return len(request["digit"]) * len(taken) / (time.perf_counter() - start), float(np.median(taken))


def plan(arguments: Arguments, *, per_core: float, batch_seconds: float, rows: int) -> str:
    """What a deployment is set to.

    Args:
        arguments: What is wanted.
        per_core: Images a second of one core, in batches of `rows`.
        batch_seconds: Seconds of such a batch, all cores busy.
        rows: Rows of a batch.
    """
    pod = per_core * arguments.pod_cores
    replicas = math.ceil(arguments.wanted / (pod * arguments.utilization))
    queue = max(1, math.floor((arguments.latency / batch_seconds - 1) * arguments.pod_cores))
    gather = rows / (pod * arguments.utilization)
    return "\n".join(
        [
            f"calculated for {arguments.wanted:,.0f} digits/s, pods of {arguments.pod_cores} cores, target utilization "
            f"{arguments.utilization:.0%}, at most {1e3 * arguments.latency:.0f} ms a request:",
            f"- one pod: {pod:,.0f} digits/s at full load, {pod * arguments.utilization:,.0f} at the target",
            f"- replicas: {replicas}; if one of them is lost, the others run at "
            f"{arguments.wanted / (pod * max(1, replicas - 1)):.0%}",
            f"- max_batch_size: {rows}; at the target a pod receives as many single rows in {1e3 * gather:.1f} ms, "
            f"so batch_timeout_micros above {1e6 * gather:,.0f} fills batches and below it does not",
            f"- max_enqueued_batches: {queue}; one more would wait for longer than the latency allows "
            f"({1e3 * batch_seconds:.1f} ms a batch, {arguments.pod_cores} at once)",
        ]
    )


def main():
    arguments = tyro.cli(Arguments, description=__doc__)
    folder = versions.find(arguments.model_base_path)
    settings, cores = metadata.read(folder), len(os.sched_getaffinity(0))
    print(f"{machine.describe()}; {settings['name']}, {settings['steps']} step{'s' * (settings['steps'] > 1)}")
    print("| rows | images/s | a core | ms a batch |\n|---|---|---|---|", flush=True)
    measured = {}
    samples = {len(inputs["digit"]): inputs for name, inputs in warmup.requests(settings) if name == "sample"}
    with contextlib.closing(Servable(folder)) as servable:
        for rows, request in samples.items():
            images, seconds = rate(servable, request, threads=cores, seconds=arguments.seconds)
            measured[rows] = images, seconds
            print(f"| {rows} | {images:,.1f} | {images / cores:,.1f} | {1e3 * seconds:.1f} |", flush=True)
    best = max(measured, key=lambda rows: measured[rows][0])
    images, seconds = measured[best]
    print(f"\n{plan(arguments, per_core=images / cores, batch_seconds=seconds, rows=best)}")


if __name__ == "__main__":
    main()
