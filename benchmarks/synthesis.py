"""Synthetic data sets: images/s of the whole pipeline beside the bare generator, memory of a worker, and 10^9 images.

    python -m benchmarks.synthesis --preset mnist_fast

Generator and pipeline draw the same images, in the same batches, in one process, with all imported, the generator
loaded and its graph compiled before the clock starts. The pipeline's share of the generator's rate is given by the
wall's clock, and by the processor's time an image, which other work on the machine disturbs less, and which the
calculation stands on. Memory is the peak of fresh processes that write one shard, of one and of ten times as many
images: it must not grow with the shard.
"""

import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import tyro

from benchmarks import machine
from keras_ddpm.cli.run import run
from keras_ddpm.shards.dataset import ShardedImages
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.synthesis import shard, synthesize

BILLION = 10**9


@dataclasses.dataclass(frozen=True)
class Arguments:
    preset: str = "mnist_fast"
    n: int = 50_000
    """Images to measure with."""
    shard_size: int = 10_000
    batch: int = 250
    formats: tuple[str, ...] = tuple(FORMATS)
    price: float = 0.04
    """Dollars a core-hour, for the calculation."""
    storage: float = 0.02
    """Dollars a gigabyte and month."""
    link: float = 10.0
    """Gigabit/s from the workers to where the shards go."""
    cores: int = 1_000
    """Cores that share the 10^9 images."""
    memory: bool = True
    """--no-memory: without the two processes whose memory is measured."""


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a piece of work: of the wall's clock, and of the processor."""
    before = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - before[0], time.process_time() - before[1]


def pipeline(arguments: Arguments, format: str) -> tuple[float, float, int]:
    """Seconds (wall, processor) of `synthesize` into folders that are thrown away, and its bytes."""
    settings = {name: getattr(arguments, name) for name in ("preset", "shard_size", "batch")}
    with tempfile.TemporaryDirectory() as folder:
        write = functools.partial(synthesize, format=format, **settings)
        write(1, f"{folder}/first")  # imports what the format needs
        seconds = clocked(lambda: write(arguments.n, f"{folder}/all"))
        return *seconds, ShardedImages(f"{folder}/all").content["bytes"]


def bare(arguments: Arguments) -> tuple[float, float]:
    """Seconds (wall, processor) of the generator alone, on the pipeline's batches."""
    from keras_ddpm.synthesis.api import plan

    unset = dict.fromkeys(
        ("proportions", "w", "sampler", "steps", "runtime", "min_confidence", "judge", "min_distance")
    )
    sizes = {name: getattr(arguments, name) for name in ("n", "shard_size", "batch")}
    made = plan(arguments.preset, format="npz", seed=0, **sizes, **unset)
    draw = shard.drawer(made)
    next(shard.batches(made, 0, draw))  # compiles

    def work():
        for i in range(made.shards):
            for _ in shard.batches(made, i, draw):
                pass

    return clocked(work)


def peak(arguments: Arguments, n: int) -> float:
    """Peak memory, GiB, of a fresh process that writes one shard of n images."""
    code = (
        "from benchmarks import machine; from keras_ddpm.synthesis import synthesize; import sys\n"
        "preset, out, n, batch = sys.argv[1:]\n"
        "synthesize(int(n), out, preset=preset, shard_size=int(n), batch=int(batch))\n"
        "print(machine.peak_memory())"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, arguments.preset, f"{folder}/out", str(n), str(arguments.batch)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def billion(arguments: Arguments, *, generator: float, whole: float, size: float) -> str:
    """The calculation for 10^9 images.

    Args:
        arguments: Prices, link and cores.
        generator, whole: Core-seconds an image of the generator, and of the pipeline.
        size: Bytes an image.
    """
    hours, gigabytes = BILLION * whole / 3600, BILLION * size / 1e9
    rate = size / whole  # bytes/s of one core
    fill = arguments.link * 1e9 / 8 / rate
    rest = max(whole - generator, 1e-9)
    lines = [
        f"{hours:,.0f} core-hours ({1000 * whole:.2f} core-ms an image): ${arguments.price * hours:,.0f} "
        f"at ${arguments.price:g} a core-hour",
        f"{gigabytes:,.0f} GB ({size:.0f} bytes an image): ${arguments.storage * gigabytes:,.0f} a month "
        f"at ${arguments.storage:g} a GB",
        f"{hours / arguments.cores:,.1f} hours on {arguments.cores:,} cores, which write "
        f"{arguments.cores * rate / 1e6:,.1f} MB/s; {fill:,.0f} cores fill {arguments.link:g} Gbit/s",
        f"the generator is {generator / whole:.0%} of it; the rest (encoding, hashing, Beam) takes "
        f"{1000 * rest:.3f} core-ms an image, so a generator {generator / rest:.0f} times as fast would be half of it",
    ]
    return "\n".join(f"- {line}" for line in lines)


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    print(f"{machine.describe()}, load average {os.getloadavg()[0]:.1f}")
    print(f"preset {arguments.preset}, {arguments.n:,} images, batches of {arguments.batch}\n")
    wall, cpu = bare(arguments)
    print("| | images/s | share, wall | core-ms an image | share, processor | bytes an image |")
    print("|---|---|---|---|---|---|")
    print(f"| generator alone | {arguments.n / wall:.0f} | | {1000 * cpu / arguments.n:.3f} | | |", flush=True)
    sums = {}
    for format in arguments.formats:
        seconds, cores, size = pipeline(arguments, format)
        sums[format] = {"whole": cores / arguments.n, "size": size / arguments.n}
        shares = f"{wall / seconds:.0%} | {1000 * cores / arguments.n:.3f} | {cpu / cores:.0%}"
        print(f"| {format} | {arguments.n / seconds:.0f} | {shares} | {size / arguments.n:.0f} |", flush=True)
    if arguments.memory:
        small, large = (peak(arguments, times * arguments.shard_size) for times in (1, 10))
        print(f"\npeak memory of a worker: {small:.2f} GiB for a shard of {arguments.shard_size:,} images, ", end="")
        print(f"{large:.2f} GiB for one of {10 * arguments.shard_size:,}")
    first = arguments.formats[0]
    print(f"\n10^9 images as {first}, calculated from the above:\n")
    print(billion(arguments, generator=cpu / arguments.n, **sums[first]))


if __name__ == "__main__":
    run(main)
