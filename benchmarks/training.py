"""Training throughput of the default model, with and without XLA, in float32 and bfloat16.

python -m benchmarks.training
"""

import multiprocessing
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from benchmarks import machine
from configs import mnist, report
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.presets import build_network
from keras_ddpm.training import DDPM

STEPS = 25


class Clock(keras.callbacks.Callback):
    """When each batch was done. (The whole of `fit` is no measure: its data queue takes up to 5 s to close.)"""

    def on_train_begin(self, logs=None):
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


def images_per_second(config, *, precision, xla):
    """Throughput of `fit`, from the median of `STEPS` steps; the first fifth compiles and warms up."""
    keras.config.set_dtype_policy(precision)
    network = build_network(config, (28, 28, 1), 10)
    model = DDPM(network, Diffusion.from_names(**vars(config.diffusion)), num_classes=10)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), jit_compile=xla)
    n = STEPS * config.training.batch_size
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28, 1)).astype("uint8")
    batches = Batches(images, np.zeros(n, "int32"), batch_size=config.training.batch_size)
    clock = Clock()
    model.fit(batches, epochs=1, verbose=0, callbacks=[clock])
    return config.training.batch_size / np.median(np.diff(clock.times)[STEPS // 5 :])


def row(config, precision, xla):
    """One line of the table."""
    rate = images_per_second(config, precision=precision, xla=xla)
    print(
        f"| {config.name} | {precision} | {'on' if xla else 'off'} | {rate:.0f} | {machine.peak_memory():.1f} |",
        flush=True,
    )


def main():
    print(machine.describe())
    print("| configuration | precision | XLA | images/s | peak memory GiB |\n|---|---|---|---|---|", flush=True)
    for config in (mnist.get_config(), report.get_config()):
        for precision in ("float32", "mixed_bfloat16"):
            for xla in (False, True):  # each in a process of its own, whose peak is its own
                process = multiprocessing.get_context("spawn").Process(target=row, args=(config, precision, xla))
                process.start()
                process.join()


if __name__ == "__main__":
    main()
