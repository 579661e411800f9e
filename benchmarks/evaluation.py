"""Evaluation of a data set in shards: peak memory and images/s, for more and more images.

    python -m benchmarks.evaluation --n 100000 1000000

Each count is measured in a fresh process. Its data set is one shard of real training images, over and over: what is
measured does not depend on what the images show, and nothing has to be drawn.
"""

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import time

import tyro

from benchmarks import machine
from keras_ddpm import data
from keras_ddpm.cli.run import run
from keras_ddpm.saving.files import sha256
from keras_ddpm.shards import manifest
from keras_ddpm.shards.batch import Batch
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import Folder


@dataclasses.dataclass(frozen=True)
class Arguments:
    n: tuple[int, ...] = (100_000, 1_000_000)
    """Images of each data set; multiples of the shard's."""
    shard_size: int = 10_000
    format: str = "tfrecord"
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    only: str = "accuracy,fid,prdc,memorisation,pixels"
    measure: str | None = None
    """Measure the data set of this folder, in this process. For the processes that this one starts."""


def write(folder: pathlib.Path, arguments: Arguments, n: int) -> None:
    """A data set of n images: its manifest names the same shard again and again."""
    images, labels, num_classes = data.load(arguments.dataset, "train")
    size, format = arguments.shard_size, FORMATS[arguments.format]
    shape = {"image_shape": images.shape[1:], "num_classes": num_classes}
    rows = Batch(images[:size], labels[:size].astype("int64"), labels[:size].astype("int64"))
    format.write(folder / "shard", [rows], **shape)
    counts = [int((rows.labels == label).sum()) for label in range(num_classes)]
    entry = {"file": "shard", "count": size, "labels": counts, "removed": {}, "sha256": sha256(folder / "shard")}
    entries = [entry | {"bytes": (folder / "shard").stat().st_size}] * (n // size)
    settings = {"format": arguments.format, "image_shape": list(images.shape[1:]), "judge_weights": None}
    content = {"complete": True, "settings": settings, **manifest.total(entries), "shards": entries}
    manifest.write(Folder(folder), content)


def measure(arguments: Arguments) -> None:
    """Prints peak memory, GiB, and seconds, for the process that started this one."""
    import keras_ddpm

    before = time.perf_counter()
    report = keras_ddpm.evaluate(arguments.measure, dataset=arguments.dataset, only=arguments.only)
    seconds = time.perf_counter() - before
    print(machine.peak_memory(), seconds, report.figures["accuracy"]["model"])


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    if arguments.measure:
        measure(arguments)
        return
    print(f"{machine.describe()}\n\n| images | peak memory, GiB | seconds | images/s |\n|---|---|---|---|")
    for n in arguments.n:
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder), arguments, n)
            command = [sys.executable, "-m", "benchmarks.evaluation", "--measure", folder, "--only", arguments.only]
            command += ["--dataset", arguments.dataset]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        memory, seconds, _ = map(float, done.stdout.split()[-3:])
        print(f"| {n:,} | {memory:.2f} | {seconds:.0f} | {n / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    run(main)
