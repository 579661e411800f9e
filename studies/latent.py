"""Latent diffusion: how many operations does it save, and what does it cost?

python -m studies.latent [--quick]

Digits of 28 x 28, and the same digits on canvases of 64 x 64. On each, a model of pixels and one of an autoencoder's
latents are trained for as many steps on a third of MNIST. At 28 x 28 there is a third, whose stem folds 4 x 4 pixels
into channels: it has the network of the latents but for the stem. Operations are multiply-adds of one call of the
network, and of the decoder, which latents need once an image. Accuracy on reconstructions - test images, encoded and
decoded - is the ceiling of what the latent model can reach.

Models of canvases are judged by a classifier of canvases, which is trained first.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import data, presets
from keras_ddpm.config import AutoencoderConfig, Config, DataConfig, NetworkConfig, SamplingConfig, TrainingConfig
from keras_ddpm.data import sources
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.judges.train_judge import train_judge
from keras_ddpm.evaluation.metrics import bind
from keras_ddpm.generator import Generator
from keras_ddpm.training import speed
from studies import steps, study, trainings
from studies.short_trainings import TRAIN_IMAGES

N = 2000
EPOCHS, AUTOENCODER_EPOCHS, JUDGE_EPOCHS = 5, 2, 3
GROUPS = ("accuracy", "distances", "manifold")
EXPECTED = 3.5
"""How many times fewer operations count as "about 4 times fewer"."""
AUTOENCODER, LATENT = "autoencoder", "latent"
SMALL = NetworkConfig(widths=(64, 96), depths=(2, 2), attention=(True, False), patch=4)  # 7 x 7 or 8 x 8 at the top
NETWORKS = {
    "mnist": {
        "pixel": NetworkConfig(widths=(32, 64), depths=(1, 2)),
        "patch4": SMALL,
        LATENT: dataclasses.replace(SMALL, patch=1),
    },
    "canvas_mnist": {
        LATENT: dataclasses.replace(SMALL, patch=1),
        "pixel": NetworkConfig(widths=(32, 64, 96), depths=(1, 2, 2), attention=(False, False, True)),
    },
}
AUTOENCODERS = {
    "mnist": AutoencoderConfig(latent_channels=4),
    "canvas_mnist": AutoencoderConfig(latent_channels=4, encoder_widths=(8, 16, 32, 64)),
}


def run(options: study.Options) -> None:
    results = study.Results("latent", options, n=options.count(N), epochs=EPOCHS)
    for dataset in NETWORKS:
        judged = Judged(dataset, options)
        results.row(f"{dataset} real", judged.figures, judged.test.images[: judged.n])
        folder = train(autoencoder(dataset, options), options)
        if folder is not None:
            results.row(f"{dataset} reconstructions", reconstructions, judged, folder)
            show(results.picture(f"{dataset}_reconstructions"), judged, rebuilt(folder, judged.test.images[: judged.n]))
        for name in NETWORKS[dataset]:
            for seed in options.seeds():
                arm(results, judged, dataset, name, seed, options)


def arm(results: study.Results, judged: "Judged", dataset: str, name: str, seed: int, options: study.Options) -> None:
    """Train one model, and measure it."""
    settings = configuration(dataset, name, seed, options)
    picture = results.picture(f"{dataset}_{name}") if seed == 0 else None
    row = results.row(f"{dataset} {name} seed={seed}", measured, judged, settings, seed, options, picture)
    if row is not None:
        print(f"{row['call'] / 1e6:.1f} MMAC a call, right digit {row['accuracy']:.1%}", flush=True)


def configuration(dataset: str, name: str, seed: int, options: study.Options) -> Config:
    """The configuration of a model that draws."""
    codec = str(options.trainings / autoencoder(dataset, options).name) if name == LATENT else None
    return _quick(
        Config(
            name=f"{dataset}_{name}_seed{seed}",
            data=DataConfig(dataset=dataset, train_images=TRAIN_IMAGES),
            network=NETWORKS[dataset][name],
            autoencoder=AUTOENCODERS[dataset] if codec else AutoencoderConfig(),
            training=TrainingConfig(
                codec=codec,
                epochs=EPOCHS,
                learning_rate=3e-3,
                warmup_steps=100,
                ema_decay=0.995,
                precision="float32",
                grid_every=0,
                seed=seed,
            ),
            sampling=SamplingConfig(threshold="none" if codec else "static"),
        ),
        options,
    )


def autoencoder(dataset: str, options: study.Options) -> Config:
    """The configuration of a data set's autoencoder."""
    training = TrainingConfig(
        objective=AUTOENCODER, epochs=AUTOENCODER_EPOCHS, ema_decay=0.999, precision="float32", grid_every=0
    )
    section = AUTOENCODERS[dataset]
    plain = Config(
        name=f"{dataset}_{AUTOENCODER}", data=DataConfig(dataset=dataset, train_images=TRAIN_IMAGES), training=training
    )
    return _quick(dataclasses.replace(plain, autoencoder=section), options)


def _quick(settings: Config, options: study.Options) -> Config:
    if not options.quick:
        return settings
    few = dataclasses.replace(settings.data, train_images=640, validation_images=100)
    levels = len(settings.network.widths)
    network = dataclasses.replace(settings.network, widths=(8,) * levels, depths=(1,) * levels, embed_dim=8, heads=2)
    training = dataclasses.replace(settings.training, epochs=1)
    sampling = dataclasses.replace(settings.sampling, steps=2)
    return dataclasses.replace(settings, data=few, network=network, training=training, sampling=sampling)


def train(settings: Config, options: study.Options) -> pathlib.Path | None:
    """Train a model, or what is left of it; see `trainings.train`."""
    return trainings.train(settings, options.trainings / settings.name, options)


def measured(
    judged: "Judged", settings: Config, seed: int, options: study.Options, picture: pathlib.Path | None
) -> study.Figures | None:
    """Figures of the images of a model, its operations, and how fast it draws and trains; None if it is not trained."""
    folder = train(settings, options)
    if folder is None:
        return None
    generator, w = presets.load_preset(folder), settings.sampling.w
    generator.images(judged.labels[:1], w, [0])  # compiles
    start = time.perf_counter()
    images = generator.images(judged.labels, w, seed * judged.n + np.arange(judged.n))
    seconds = (time.perf_counter() - start) / judged.n
    if picture:
        study.grid(picture, images, judged.labels)
    calls = steps.calls(generator, settings.sampling.w, settings.sampling.guidance_interval)
    network, decoder = operations_of(generator)
    return {
        **judged.figures(images),
        "parameters": generator.network.count_params(),
        "call": network,
        "decoder": decoder,
        "calls": calls,
        "image": calls * network + decoder,
        "seconds": seconds,
        "training_images_per_second": training_rate(folder),
    }


def training_rate(folder: pathlib.Path) -> float:
    """Images a second in training, measured on one batch."""
    settings, image_shape, num_classes = presets.read_config(folder)
    size = settings.training.batch_size
    images = np.random.default_rng(0).uniform(-1, 1, (size, *image_shape)).astype("float32")
    labels = np.arange(size, dtype="int32") % num_classes
    batches: Any = [(images, labels)]
    codec = presets.codec_file(folder) if settings.latent else None
    return speed.images_per_second(settings, sources.Source(batches, images, labels, num_classes), codec)


def rebuilt(folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """uint8 images, encoded and decoded by the autoencoder in a folder."""
    network = presets.load_autoencoder(folder)
    x = data.to_float(images)
    return data.to_uint8(np.concatenate([np.asarray(network(x[i : i + 100])) for i in range(0, len(x), 100)]))


def reconstructions(judged: "Judged", folder: pathlib.Path) -> study.Figures:
    """Figures of reconstructed test images, how far they are from the originals, and the operations of both halves."""
    images, network = judged.test.images[: judged.n], presets.load_autoencoder(folder)
    decoded = rebuilt(folder, images)
    return {
        **judged.figures(decoded),
        "grey_levels": np.abs(decoded.astype(int) - images).mean(),
        "encoder": operations(network.encode, network.image_shape),
        "decoder": operations(network.decode, network.latent_shape),
        "parameters": network.count_params(),
    }


def operations_of(generator: Generator) -> tuple[float, float]:
    """Multiply-adds of one call of the network, for one image, and of the codec's decoder; 0 for pixels."""
    from keras import ops

    condition = {name: ops.zeros((1,), dtype=kind.dtype) for name, kind in generator.conditions.items()}
    network = operations(lambda x: generator.network(x, ops.ones((1,)), condition), generator.codec.latent_shape)
    return network, operations(generator.codec.decode, generator.codec.latent_shape)


def operations(function: Callable, shape: tuple[int, ...]) -> float:
    """Multiply-adds of a function of one image or one latent: half the operations that TensorFlow's profiler counts."""
    import tensorflow as tf

    graph = tf.function(function).get_concrete_function(tf.TensorSpec((1, *shape), "float32")).graph
    profiler = tf.compat.v1.profiler
    kind = profiler.ProfileOptionBuilder.float_operation()
    found = profiler.profile(graph, options=profiler.ProfileOptionBuilder(kind).with_empty_output().build())
    return found.total_float_ops / 2 if found else 0.0


class Judged:
    """Test images of a data set, and a judge of generated ones that knows them.

    Args:
        dataset: Key of `NETWORKS`.
        options: `study.Options`.
    """

    def __init__(self, dataset: str, options: study.Options):
        train, self.test = (data.load(dataset, split) for split in ("train", "test"))
        self.n, self.labels = options.count(N), self.test.labels[: options.count(N)]
        kind = Kind(train.image_shape, train.num_classes)
        judge = SHIPPED if dataset == "mnist" else self.judge(dataset, options)
        rest, _ = train.hold_out(options.count(5_000))
        reference = (rest.images[: self.n], rest.labels[: self.n])
        self.metrics = bind(reference=reference, training=rest.images, classifier=load_classifier(judge), kind=kind)

    def judge(self, dataset: str, options: study.Options) -> pathlib.Path:
        """The folder of a data set's judge, which is trained if it is not there."""
        folder = options.trainings / f"{dataset}_judge"
        if not folder.exists():
            train_judge(
                dataset,
                folder,
                arch="wide5x5" if options.quick else "conv3x3",
                epochs=1 if options.quick else JUDGE_EPOCHS,
            )
        return folder

    def figures(self, images: np.ndarray) -> study.Figures:
        """Figures of uint8 images (n, H, W, C) that should show `labels`."""
        found = {name: value for group in GROUPS for name, value in self.metrics[group](images, self.labels)}
        return {name: value for name, value in found.items() if name in study.KEPT}


def show(path: pathlib.Path, judged: Judged, images: np.ndarray) -> None:
    """Write a picture: a row of test images above each row of their reconstructions."""
    from keras_ddpm.data import pictures

    rows = [part[i : i + 10] for i in range(0, min(40, judged.n), 10) for part in (judged.test.images, images)]
    pictures.write_png(path, pictures.grid(np.concatenate(rows), columns=10))


def fewer(rows: dict[str, study.Figures], dataset: str) -> dict[str, float]:
    """How many times fewer operations latents need than pixels: "call" of the network, and "image", decoder included.

    Raises:
        KeyError: if one of both is not measured.
    """
    there = [study.named(rows, f"{dataset} {name} seed=") for name in ("pixel", LATENT)]
    if not all(there):
        raise KeyError(dataset)
    return {what: there[0][0][what] / there[1][0][what] for what in ("call", "image")}


def verdict(rows: dict[str, study.Figures], dataset: str) -> str:
    """Whether latents need about 4 times fewer operations than pixels, as the report expects, as text."""
    try:
        found = fewer(rows, dataset)
    except KeyError:
        return "not measured yet"
    reached = [what for what, times in found.items() if times >= EXPECTED]
    said = "yes" if len(reached) == 2 else f"for the {reached[0]} only" if reached else "no"
    return f"{said}: {_in_words(found['call'])} for a call, {_in_words(found['image'])} for an image"


def _in_words(fewer: float) -> str:
    return f"{fewer:.1f} times fewer" if fewer >= 1 else f"{1 / fewer:.1f} times as many"


if __name__ == "__main__":
    study.main(run, __doc__)
