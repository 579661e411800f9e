"""The precision, and whether with XLA, in which this machine trains fastest: measured, since processors differ."""

import dataclasses
import pathlib
import time
from collections.abc import Iterable

import keras
import numpy as np

from keras_ddpm import presets
from keras_ddpm.config import Config, from_json
from keras_ddpm.data import sources
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.build import build_network
from keras_ddpm.training.objectives import make_model
from keras_ddpm.training.optimizer import use_xla

WARM_UP, MEASURED = 2, 5


def settle(config: Config, source: sources.Source, *, run=None, codec: pathlib.Path | None = None) -> Config:
    """The configuration, with what `precision` "auto" leaves open settled by measuring.

    `jit` "auto" is then measured too, except under JAX, which always compiles. Prints what was measured.

    Args:
        config: `Config`.
        source: `sources.Source`, whose first batch is trained on.
        run: Folder of a run that goes on as it began; None to measure.
        codec: Weights of the autoencoder in whose latents to diffuse; None for images.
    """
    if config.training.precision != "auto":
        return config
    if run is not None:
        began = from_json((pathlib.Path(run) / "config.json").read_text()).training
        return _with(config, (began.precision, began.jit))
    rates = {choice: images_per_second(_with(config, choice), source, codec) for choice in choices(config)}
    best = max(rates, key=lambda choice: rates[choice])
    measured = ", ".join(f"{_in_words(choice)} {rate:.0f}" for choice, rate in rates.items())
    print(f"Training in {_in_words(best)}, the fastest here (images/s: {measured})", flush=True)
    return _with(config, best)


def choices(config: Config) -> Iterable[tuple[str, str]]:
    """Pairs (precision, jit) to measure."""
    jit = config.training.jit
    open_jit = jit == "auto" and keras.backend.backend() != "jax"
    compiled = ("off", "on") if open_jit else ("on" if use_xla(jit) else "off",)
    return [(precision, jit) for precision in ("float32", "mixed_bfloat16") for jit in compiled]


def images_per_second(config: Config, source: sources.Source, codec: pathlib.Path | None = None) -> float:
    """Images a second of the median train step, with weights that are thrown away."""
    network = build_network(config, source.image_shape, source.num_classes, dtype=config.training.precision)
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    latents = presets.make_codec(config, source.image_shape, codec)
    model = make_model(network, diffusion, config, steps=WARM_UP + MEASURED, codec=latents)
    known = isinstance(source.batches, keras.utils.PyDataset)
    images, condition = source.batches[0] if known else next(iter(source.batches))
    times = []
    for _ in range(WARM_UP + MEASURED):
        start = time.perf_counter()
        model.train_on_batch(images, condition)
        times.append(time.perf_counter() - start)
    return len(images) / float(np.median(times[WARM_UP:]))


def _with(config, choice):
    precision, jit = choice
    return dataclasses.replace(config, training=dataclasses.replace(config.training, precision=precision, jit=jit))


def _in_words(choice):
    precision, jit = choice
    return f"{precision} {'with' if jit == 'on' else 'without'} XLA"
