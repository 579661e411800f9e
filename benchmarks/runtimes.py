"""Runtimes on one core: LiteRT, ONNX Runtime, OpenVINO and TensorFlow at batch 1, 16 and 256.

python -m benchmarks.runtimes --preset mnist_fast

Two tables. The network alone, exported with that static batch; then all of `keras_ddpm.sample`. Beside the middle wall
time stands the processor's time, which other work on the machine disturbs less. Each runtime runs in a process of its
own, which is kept on one core.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import keras_ddpm
from benchmarks import machine
from keras_ddpm import presets, runtimes
from keras_ddpm.runtimes import engines, files

BATCHES = (1, 16, 256)
SECONDS = 2.0


def middle(call):
    """Milliseconds of a call, wall and processor, the middle of many."""
    call()
    wall, cpu, start = [], [], time.perf_counter()
    while time.perf_counter() - start < SECONDS or len(wall) < 5:
        before = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - before[0])
        cpu.append(time.process_time() - before[1])
    return 1000 * float(np.median(wall)), 1000 * float(np.median(cpu))


def network_call(folder, runtime, batch):
    """The network alone, with a static batch."""
    contents = [(folder / f"{batch}" / name).read_bytes() for name in files.names(runtime)]
    before = time.perf_counter()
    network = engines.engine(runtime).open(*contents)
    load = 1000 * (time.perf_counter() - before)
    inputs = dict(np.load(folder / f"{batch}" / "inputs.npz"))
    return load, middle(lambda: network(inputs))


def sample_call(preset, runtime, batch):
    """All of `sample`."""
    digit = 7 if batch == 1 else np.arange(batch) % 10
    before = time.perf_counter()
    keras_ddpm.sample(digit, preset=preset, runtime=runtime)
    load = 1000 * (time.perf_counter() - before)
    return load, middle(lambda: keras_ddpm.sample(digit, preset=preset, runtime=runtime))


def write_networks(preset, folder, names):
    """The preset's network for each runtime and batch, and inputs to call it with."""
    from export import formats

    network = presets.load_network(preset)
    for batch in BATCHES:
        (folder / f"{batch}").mkdir()
        x_t = np.random.default_rng(0).standard_normal((batch, *network.image_shape)).astype("float32")
        condition = {name: np.zeros(batch, kind.dtype) for name, kind in network.conditions.items()}
        np.savez(folder / f"{batch}" / "inputs.npz", x_t=x_t, t=np.ones(batch, "float32"), **condition)
        for name in names:
            formats.write(network, name, folder / f"{batch}", batch=batch)


def measure(arguments):
    """Prints one measurement as JSON, for the process that started this one."""
    kind, where, runtime, batch = arguments
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    call = network_call if kind == "network" else sample_call
    path = pathlib.Path(where)
    print(json.dumps(call(path, None if runtime == "tensorflow" else runtime, int(batch))))


def row(kind, where, runtime, batch):
    """A row of a table, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.runtimes", "--measure", kind, str(where), runtime, str(batch)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    load, (wall, cpu) = json.loads(done.stdout.splitlines()[-1])
    print(
        f"| {runtime} | {batch} | {load:.0f} | {wall:.2f} | {1000 * batch / wall:.0f} | {cpu / batch:.2f} |", flush=True
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="mnist_fast")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    from export import formats

    names = [name for name in runtimes.ENGINES if engines.installed(name)]
    header = "| runtime | batch | ms to load | ms | images/s | processor, ms an image |\n|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        networks, lite = pathlib.Path(folder) / "networks", pathlib.Path(folder) / "lite"
        networks.mkdir()
        write_networks(arguments.preset, networks, names)
        for name in names:
            formats.export(arguments.preset, name, out=lite)
        print(machine.describe(), f"load average {os.getloadavg()[0]:.1f}", sep=", ")
        print(f"\nThe network alone, a static batch, one core\n\n{header}")
        for batch in BATCHES:
            for name in names:
                row("network", networks, name, batch)
        print(f"\n`keras_ddpm.sample`, one core\n\n{header}")
        for batch in BATCHES:
            for name in (*names, "tensorflow"):
                row("sample", presets.find(arguments.preset) if name == "tensorflow" else lite, name, batch)


if __name__ == "__main__":
    main()
