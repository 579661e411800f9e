"""Training throughput: the bare train step and `fit`, with and without XLA, in float32 and bfloat16.

python -m benchmarks.training.speed
python -m benchmarks.training.speed --configs diffusion consistency mnist_fast  # the stages of configs/mnist_fast.py
python -m benchmarks.training.speed --parts 1 2 --xla off                       # a batch in parts, as train.py --parts

`fit` adds the data queue, the metrics and the callbacks to the bare step, which gets one batch again and again.
"""

import dataclasses
import itertools
import multiprocessing
import time
from typing import Literal

import keras
import numpy as np
import tyro

from benchmarks import machine
from configs import mnist, mnist_fast, report
from keras_ddpm.cli.run import run
from keras_ddpm.config import Config, choose
from keras_ddpm.data.batches import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.build import build_network
from keras_ddpm.networks.call import in_parts
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.distribution.side_by_side import claim_cores
from keras_ddpm.training.objectives import make_model

CONFIGS = {config.name: config for config in (mnist.get_config(), report.get_config(), *mnist_fast.get_config())}
CONFIGS |= {
    name: dataclasses.replace(
        CONFIGS["diffusion"], training=dataclasses.replace(CONFIGS["diffusion"].training, objective=name)
    )
    for name in ("perceptual", "diffusion_gan", "draft", "clip_weighted")
}
CONFIGS |= {
    name: dataclasses.replace(
        CONFIGS["diffusion"], network=dataclasses.replace(CONFIGS["diffusion"].network, **changes)
    )
    for name, changes in {
        "without_attention": {"attention": (False, False)},
        "deeper": {"depths": (2, 4)},
        "wider": {"widths": (48, 96)},
    }.items()
}
WARM_UP = 5


@dataclasses.dataclass(frozen=True)
class Arguments:
    configs: tuple[str, ...] = ("mnist", "report")
    """Names of configurations, of mnist_fast's stages, or of its first stage with another objective or network."""
    precisions: tuple[str, ...] = ("float32", "mixed_bfloat16")
    steps: int = 20
    """Steps that are measured, after a few that compile and warm up."""
    batch_size: int = 128
    xla: tuple[Literal["off", "on"], ...] = ("off", "on")
    parts: tuple[int, ...] = (1,)
    """Parts of a batch that are computed side by side, see `train.py --parts`."""


class Clock(keras.callbacks.Callback):
    """Notes when each batch was done. (All of `fit` is no measure: its data queue takes up to 5 s to close.)"""

    def on_train_begin(self, logs=None):
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


def build(config: Config, *, precision: str, xla: bool) -> DDPM:
    """A compiled model with fresh weights."""
    network = build_network(config, (28, 28, 1), 10, dtype=precision)
    training = dataclasses.replace(config.training, precision=precision, jit="on" if xla else "off")
    config = dataclasses.replace(config, training=training)
    return make_model(network, Diffusion.from_names(**vars(config.diffusion)), config, steps=1_000)


def batches(count: int, batch_size: int) -> Batches:
    """Batches of random images."""
    images = np.random.default_rng(0).integers(0, 256, (count * batch_size, 28, 28, 1)).astype("uint8")
    return Batches(images, np.zeros(len(images), "int32"), batch_size=batch_size)


def seconds_of_fit(model: DDPM, data: Batches) -> float:
    """Seconds of a step in `fit`: the median, without the steps that warm up."""
    clock = Clock()
    model.fit(data, epochs=1, verbose=0, callbacks=[clock])
    return float(np.median(np.diff(clock.times)[WARM_UP - 1 :]))


def seconds_of_step(model: DDPM, data: Batches, *, xla: bool) -> float | None:
    """Seconds of a bare train step: the median. None on JAX, whose step passes its state along."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    step = tf.function(model.train_step, jit_compile=xla)
    batch = tuple(tf.constant(array) for array in data[0])
    times = []
    for _ in range(len(data)):
        start = time.perf_counter()
        float(step(batch)["loss"])
        times.append(time.perf_counter() - start)
    return float(np.median(times[WARM_UP:]))


def row(name: str, precision: str, xla: bool, parts: int, steps: int, batch_size: int) -> None:
    """Print one line of the table."""
    claim_cores(parts)
    with in_parts(parts):
        model, data = build(CONFIGS[name], precision=precision, xla=xla), batches(WARM_UP + steps, batch_size)
        fit, bare = seconds_of_fit(model, data), seconds_of_step(model, data, xla=xla)
    rates = " | ".join("–" if seconds is None else f"{batch_size / seconds:.0f}" for seconds in (bare, fit))
    print(
        f"| {name} | {precision} | {'on' if xla else 'off'} | {parts} | {rates} | {machine.peak_memory():.1f} |",
        flush=True,
    )


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    print(f"{machine.describe()}; batches of {arguments.batch_size}")
    print("| configuration | precision | XLA | parts | bare step, images/s | fit, images/s | peak memory GiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.configs:
        choose(CONFIGS, name, "configs")
        for precision, xla, parts in itertools.product(arguments.precisions, arguments.xla, arguments.parts):
            settings = (name, precision, xla == "on", parts, arguments.steps, arguments.batch_size)
            process = multiprocessing.get_context("spawn").Process(target=row, args=settings)  # its peak is its own
            process.start()
            process.join()


if __name__ == "__main__":
    run(main)
