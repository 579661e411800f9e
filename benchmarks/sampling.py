"""Sampling: images/s at batch 1, 16 and 256, cold start of the command line, peak memory.

python -m benchmarks.sampling
"""

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import presets
from keras_ddpm.checks.sampling import in_words, w_of_class
from keras_ddpm.cli.run import run


@dataclasses.dataclass(frozen=True)
class Arguments:
    preset: str = "mnist"
    batches: tuple[int, ...] = (1, 16, 256)
    seconds: float = 8.0
    """Time to measure each batch size for, at least."""
    cold: bool = True
    """--no-cold: without the cold start, which runs the command line three times."""


def cold_start(preset: str) -> float:
    """Seconds from the shell's prompt to a written PNG, the middle of three."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(pathlib.Path(folder) / "7.png")
        command = [sys.executable, "-m", "keras_ddpm", "sample", "7", "--preset", preset, "--out", out]
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    return sorted(seconds)[1]


def images_per_second(generator, w, batch: int, *, at_least: float) -> float:
    """Throughput at one batch size, after a first call that compiles.

    Args:
        generator: `Generator`.
        w: float, or one for each class.
        batch: Images drawn at a time.
        at_least: Seconds to measure for.
    """
    digit = np.arange(batch) % generator.network.num_classes
    strength = w_of_class(w, generator.network.num_classes)[digit]

    def draw():
        generator.sample(digit, strength, np.arange(batch))

    return rate(draw, batch, at_least=at_least)


def rate(draw: Callable[[], object], batch: int, *, at_least: float) -> float:
    """Images/s of a function that draws a batch, after a first call that compiles."""
    draw()
    drawn, start = 0, time.perf_counter()
    while not drawn or time.perf_counter() - start < at_least:
        draw()
        drawn += batch
    return drawn / (time.perf_counter() - start)


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    sampling = presets.read_config(arguments.preset)[0].sampling
    cold = cold_start(arguments.preset) if arguments.cold else None
    generator = presets.load_preset(arguments.preset)
    print(machine.describe())
    where = f"noise levels {sampling.guidance_interval}" if sampling.guidance_interval else "all noise levels"
    print(
        f"preset {arguments.preset}, {sampling.sampler}, {sampling.steps} steps, w = {in_words(sampling.w)} at {where}"
    )
    if cold is not None:
        print(f"cold start of the command line to a written PNG: {cold:.1f} s")
    print("| batch | images/s | ms an image |\n|---|---|---|")
    for batch in arguments.batches:
        rate = images_per_second(generator, sampling.w, batch, at_least=arguments.seconds)
        print(f"| {batch} | {rate:.1f} | {1000 / rate:.1f} |", flush=True)
    print(f"peak memory {machine.peak_memory():.1f} GiB")


if __name__ == "__main__":
    run(main)
