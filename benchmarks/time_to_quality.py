"""From random weights to good digits: minutes of training until a judge is content, and the way there.

    python -m benchmarks.time_to_quality

Trains a configuration and judges its averaged weights after each epoch, from `first` on. The minutes begin with
reading the data; compilation is in them, imports and judging are not. The judge is the shipped classifier, which no
training sees. Labels and images to compare with are the training split's last ones, which training holds out; recall
is given as a share of what other real images reach against them.
"""

import dataclasses
import time

import keras
import numpy as np
import tyro

from benchmarks import few_step, machine
from keras_ddpm import data
from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import from_file
from keras_ddpm.data import sources
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.generator import Generator
from keras_ddpm.networks.build import build_network
from keras_ddpm.sampling_request import w_of_class
from keras_ddpm.training.objectives import make_model


@dataclasses.dataclass(frozen=True)
class Arguments:
    config: str = "mnist_fast"
    """Configuration; of a recipe, its first stage."""
    epochs: int | None = None
    """Epochs of the whole run. Default: the configuration's own."""
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


class Judged(keras.callbacks.Callback):
    """Judges the averaged weights after an epoch, prints a line, and stops a training that is good enough.

    Args:
        arguments: `Arguments`.
        started: When the clock started, of `time.perf_counter`.
        generator: `Generator` of the averaged weights.
        w: float (num_classes,), guidance of each class.
        held: `Dataset` of images that training holds out.
        rest: `Dataset` of other real images, whose recall is the measure.
    """

    def __init__(self, arguments: Arguments, started: float, generator, w, held, rest):
        super().__init__()
        self.started = started
        before = time.perf_counter()
        self.arguments, self.generator, self.w = arguments, generator, w
        self.classifier = memoize(load_classifier())
        self.reference = held.first(arguments.n)[:2]
        real = rest.first(arguments.n)
        self.real = few_step.figures(*real[:2], reference=self.reference, classifier=self.classifier)
        self.judging = time.perf_counter() - before

    def on_epoch_end(self, epoch, logs=None):
        now, arguments, labels = time.perf_counter(), self.arguments, self.reference[1]
        minutes = (now - self.started - self.judging) / 60
        if epoch + 1 < arguments.first:
            return
        seeds = arguments.seed + np.arange(len(labels))
        images = self.generator.images(labels, self.w[labels], seeds)
        found = few_step.figures(images, labels, reference=self.reference, classifier=self.classifier)
        recall = found["recall"] / self.real["recall"]
        cells = f"{found['accuracy']:.2%} | {found['worst']:.1%} ({found['worst_digit']}) | {recall:.3f}"
        print(f"| {epoch + 1} | {minutes:.1f} | {cells} | {found['frechet_distance']:.3f} |", flush=True)
        self.model.stop_training = found["accuracy"] >= arguments.accuracy and recall >= arguments.recall
        self.judging += time.perf_counter() - now


def main() -> None:
    arguments, started = tyro.cli(Arguments, description=__doc__), time.perf_counter()
    config = from_file(arguments.config)[0]
    training = dataclasses.replace(config.training, epochs=arguments.epochs or config.training.epochs)
    config = dataclasses.replace(config, training=training)
    keras.utils.set_random_seed(training.seed)
    known = data.load(config.data.dataset, "train")
    rest, held = known.hold_out(config.data.validation_images)
    source = sources.open_source(config, known, num_classes=known.num_classes)
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    network = build_network(config, source.image_shape, source.num_classes, dtype=training.precision)
    model = make_model(network, diffusion, config, steps=training.epochs * len(source.batches))
    generator = Generator.from_names(model.ema_network, diffusion, config.sampling)
    judged = Judged(arguments, started, generator, w_of_class(config.sampling.w, source.num_classes), held, rest)
    print(f"{machine.describe()}; {arguments.config}, {config.training.epochs} epochs; n = {arguments.n}")
    print("| epoch | minutes | right digit | worst digit | recall of real | Fréchet distance |\n" + "|---" * 6 + "|")
    model.fit(source.batches, epochs=training.epochs, callbacks=[judged], shuffle=False, verbose=0)
    if not model.stop_training:
        raise SystemExit("Not reached")


if __name__ == "__main__":
    run(main)
