"""Sampling: images/s at batch 1, 16 and 256, cold start of the command line, peak memory.

python -m benchmarks.sampling
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import machine
from keras_ddpm import presets

BATCHES = (1, 16, 256)


def cold_start():
    """Seconds from the shell's prompt to a written PNG, the middle of three."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "keras_ddpm", "sample", "7", "--out", str(pathlib.Path(folder) / "7.png")]
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    return sorted(seconds)[1]


def images_per_second(generator, w, batch, *, at_least=8.0):
    """Throughput at one batch size, after a first call that compiles."""

    def draw():
        generator.sample(np.arange(batch) % 10, np.full(batch, w), np.arange(batch))

    draw()
    drawn, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least:
        draw()
        drawn += batch
    return drawn / (time.perf_counter() - start)


def main():
    cold = cold_start()
    config, _, _ = presets.read_config("mnist")
    generator = presets.load_preset("mnist")
    print(machine.describe())
    settings = config.sampling
    print(
        f"preset mnist, {settings.sampler}, {settings.steps} steps, w = {settings.w:g} at noise levels "
        f"{settings.guidance_interval}"
    )
    print(f"cold start of the command line to a written PNG: {cold:.1f} s")
    print("| batch | images/s | ms an image |\n|---|---|---|")
    for batch in BATCHES:
        rate = images_per_second(generator, settings.w, batch)
        print(f"| {batch} | {rate:.1f} | {1000 / rate:.1f} |", flush=True)
    print(f"peak memory {machine.peak_memory():.1f} GiB")


if __name__ == "__main__":
    main()
