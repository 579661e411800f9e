"""From random weights to good digits: minutes of training until a judge is content, and the way there.

    python -m benchmarks.training.time_to_quality --parts 2

Trains configurations one after the other, and judges the last one's averaged weights after each epoch, from `first`
on. The minutes are those of `keras_ddpm.train` with all that it writes, from reading the data on; imports and judging
are not in them. The judge is the shipped classifier, which no training sees. Labels and images to compare with are the
training split's last ones, which training holds out; recall is given as a share of what other real images reach
against them.
"""

import dataclasses
import pathlib
import tempfile
import time

import keras
import numpy as np
import tyro

import keras_ddpm
from benchmarks import machine, quality
from keras_ddpm import data
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import from_file
from keras_ddpm.config import Devices, SamplingConfig
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.generator import Generator
from keras_ddpm.training.distribution.side_by_side import claim_cores


@dataclasses.dataclass(frozen=True)
class Arguments:
    configs: tuple[str, ...] = ("autoencoder", "mnist_latent")
    """Configurations: the one that draws, after its autoencoder if it diffuses latents. Of a recipe the first stage."""
    epochs: int | None = None
    """Epochs of the last configuration. Default: its own."""
    first: int = 4
    """The first epoch after which to judge."""
    accuracy: float = 0.99
    """Share of right digits at which to stop."""
    recall: float = 0.95
    """Recall at which to stop, as a share of real images' recall."""
    n: int = 2_000
    """Images to judge."""
    seed: int = 1_000_000
    """Seed of the first image."""
    parts: int = 1
    """Parts of a batch that are computed side by side, a core each."""


class Judged(keras.callbacks.Callback):
    """Judges the averaged weights after an epoch, prints a line, and stops a training that is good enough.

    Args:
        arguments: `Arguments`.
        started: When the clock started, of `time.perf_counter`.
        sampling: `SamplingConfig` to draw with.
        validation_images: Images that training holds out.
    """

    def __init__(self, arguments: Arguments, started: float, sampling: SamplingConfig, validation_images: int):
        super().__init__()
        before = time.perf_counter()
        self.arguments, self.started, self.sampling = arguments, started, sampling
        self.classifier = memoize(load_classifier())
        rest, held = data.load("mnist", "train").hold_out(validation_images)
        self.reference = held.first(arguments.n)[:2]
        real = rest.first(arguments.n)
        self.real = quality.figures(*real[:2], reference=self.reference, classifier=self.classifier)
        self.reached = False
        self.judging = time.perf_counter() - before

    def on_train_begin(self, logs=None):
        model = self.model
        self.generator = Generator.from_names(model.ema_network, model.diffusion, self.sampling, codec=model.codec)

    def on_epoch_end(self, epoch, logs=None):
        now, arguments, labels = time.perf_counter(), self.arguments, self.reference[1]
        minutes = (now - self.started - self.judging) / 60
        if epoch + 1 < arguments.first:
            return
        seeds = arguments.seed + np.arange(len(labels))
        images = self.generator.images(labels, w_of_class(self.sampling.w, 10)[labels], seeds)
        found = quality.figures(images, labels, reference=self.reference, classifier=self.classifier)
        recall = found["recall"] / self.real["recall"]
        cells = f"{found['accuracy']:.2%} | {found['worst']:.1%} ({found['worst_digit']}) | {recall:.3f}"
        print(f"| {epoch + 1} | {minutes:.1f} | {cells} | {found['frechet_distance']:.3f} |", flush=True)
        self.reached = found["accuracy"] >= arguments.accuracy and recall >= arguments.recall
        self.model.stop_training = self.reached
        self.judging += time.perf_counter() - now


def main() -> None:
    arguments, started = tyro.cli(Arguments, description=__doc__), time.perf_counter()
    claim_cores(arguments.parts)
    *before, last = (from_file(name)[0] for name in arguments.configs)
    devices = Devices(parts=arguments.parts)
    with tempfile.TemporaryDirectory() as folder:
        for config in before:
            keras_ddpm.train(config, pathlib.Path(folder, config.name))
        training = dataclasses.replace(last.training, epochs=arguments.epochs or last.training.epochs)
        if before:
            training = dataclasses.replace(training, codec=str(pathlib.Path(folder, before[-1].name)))
        judged = Judged(arguments, started, last.sampling, last.data.validation_images)
        print(f"{machine.describe()}; {' '.join(arguments.configs)}, {training.epochs} epochs; n = {arguments.n}")
        print(
            "| epoch | minutes | right digit | worst digit | recall of real | Fréchet distance |\n" + "|---" * 6 + "|"
        )
        config = dataclasses.replace(last, training=training)
        keras_ddpm.train(config, pathlib.Path(folder, last.name), devices=devices, callbacks=[judged])
    if not judged.reached:
        raise SystemExit("Not reached")


if __name__ == "__main__":
    run(main)
