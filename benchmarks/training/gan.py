"""A conditional GAN of the student's size, trained against the same discriminator: what diffusion has to compete with.

    python -m benchmarks.training.gan --out runs/gan

The generator is a plain decoder that was never a diffusion model. It looks like a network that is called once from
noise, so the adversarial objective trains it, from random weights, by the losses and settings that finish the student
(docs/few_step.md). Prints latency, and the figures of `benchmarks.quality`, for it and for students. Labels and images
to compare with are the training split's last ones, which training holds out. `out` is laid out like a run of
`train.py`, but for config.json; --resume continues it.
"""

import dataclasses
import pathlib
import re
import time

import keras
import numpy as np
import tyro
from keras import layers, ops

from benchmarks import machine, quality
from configs import mnist_fast
from keras_ddpm import data, presets
from keras_ddpm.cli.run import run
from keras_ddpm.conditions import Label
from keras_ddpm.data import pictures, sources
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.generator import Generator
from keras_ddpm.saving import files
from keras_ddpm.saving.weights import read_weights
from keras_ddpm.training.callbacks import drawing, epochs_done, for_run
from keras_ddpm.training.objectives import make_model
from keras_ddpm.training.progress import progress
from keras_ddpm.training.train import fit
from keras_ddpm.training.validation import validation_set


@dataclasses.dataclass(frozen=True)
class Arguments:
    out: pathlib.Path = pathlib.Path("runs/gan")
    """Folder of the run, and for pictures."""
    epochs: int = 60
    """Epochs to train for, those in `out` included; the default are those of the student's three stages."""
    resume: bool = False
    """Continue the run in `out`; one that is finished is measured again."""
    students: tuple[str, ...] = ("mnist_fast", "mnist_fast_v2")
    """Presets or folders of runs to stand beside."""
    temperatures: tuple[float, ...] = (1.0, 1.1)
    """Standard deviations of the GAN's noise, a row each."""
    n: int = 5_000
    """Images of each row, at most the held-out ones."""
    seed: int = 1_000_000
    """Seed of the first image."""


@keras.saving.register_keras_serializable("keras_ddpm_benchmarks")
class ConvolutionalGenerator(keras.Model):
    """z, label -> image, by a dense layer and two transposed convolutions, as in DCGAN (arXiv 1511.06434).

    Called like a denoising network: z is the first `dim` pixels of x_t, and the prediction is v = -image, since
    x_0 = alpha x_t - sigma v where sigma is 1.
    """

    def __init__(self, image_shape=(28, 28, 1), num_classes: int = 10, *, dim: int = 128, width: int = 48, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.num_classes, self.dim, self.width = tuple(image_shape), num_classes, dim, width
        self.conditions = {"label": Label(num_classes)}
        height, breadth, channels = image_shape
        self.embed = layers.Embedding(num_classes + 1, dim)
        self.dense = layers.Dense(height // 4 * (breadth // 4) * width // 2)
        self.fold = layers.Reshape((height // 4, breadth // 4, width // 2))
        self.hidden = [
            layers.Conv2D(width, 3, padding="same"),
            layers.Conv2DTranspose(width, 4, 2, padding="same"),
            layers.Conv2D(width // 2, 3, padding="same"),
        ]
        self.last = layers.Conv2DTranspose(channels, 4, 2, padding="same")

    def build(self, *shapes):
        self.call(ops.zeros((1, *self.image_shape)), ops.ones((1,)), {"label": ops.zeros((1,), "int32")})
        self.built = True

    def call(self, x_t, t, condition, training=None):
        z = ops.reshape(x_t, (-1, int(np.prod(self.image_shape))))[:, : self.dim]
        h = ops.concatenate([z, self.embed(condition["label"])], axis=-1)
        h = self.fold(ops.leaky_relu(self.dense(h), 0.2))
        for layer in self.hidden:
            h = ops.leaky_relu(layer(h), 0.2)
        return -ops.tanh(self.last(h))

    def get_config(self):
        own = {"image_shape": self.image_shape, "num_classes": self.num_classes, "dim": self.dim, "width": self.width}
        return {**super().get_config(), **own}


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    files.check_folder(arguments.out)
    done = epochs_done(arguments.out)
    if done and not arguments.resume:
        raise ValueError(
            f"There is a run in {str(arguments.out)!r} already: --resume continues it, or name another --out"
        )
    students = {name: presets.load_preset(name) for name in arguments.students}
    network = ConvolutionalGenerator()
    network.build()
    config = mnist_fast.get_config()[-1]
    training = dataclasses.replace(config.training, epochs=arguments.epochs)
    config = dataclasses.replace(config, training=training, few_step=dataclasses.replace(config.few_step, levels=()))
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    if done < arguments.epochs:
        train(network, diffusion, config, arguments.out)
    read_weights(network, arguments.out / presets.WEIGHTS)
    generators = {}
    for temperature in arguments.temperatures:
        sampling = dataclasses.replace(config.sampling, temperature=temperature)
        generators[f"GAN, temperature {temperature:g}"] = Generator.from_names(network, diffusion, sampling)
    generators |= students

    classifier, (rest, held) = memoize(load_classifier()), data.load("mnist", "train").hold_out(5_000)
    reference = held.first(arguments.n)
    print(f"{machine.describe()}; n = {arguments.n}; the GAN had {max(done, arguments.epochs)} epochs")
    heads = " | ".join(quality.FIGURES)
    print(f"| model | weights | ms a digit | right digit | worst digit | {heads} |\n" + "|---" * 10 + "|")
    given = {"reference": reference[:2], "classifier": classifier}
    row("real training images", "", "", quality.figures(*rest.first(arguments.n)[:2], **given))
    for name, generator in generators.items():
        images = draw(generator, reference.labels, arguments.seed)
        found = quality.figures(images, reference.labels, **given)
        row(name, f"{generator.network.count_params():,}", f"{latency(generator):.2f}", found)
        labels = np.repeat(np.arange(10, dtype="int32"), 20)
        path = arguments.out / f"{re.sub(r'[^a-zA-Z0-9.]+', '_', name)}.png"
        pictures.write_png(path, pictures.grid(draw(generator, labels, 0), columns=20))


def train(network, diffusion, config, out):
    """Train the GAN as `keras_ddpm.train` does a student, from the state in `out` on, if there is one."""
    keras.utils.set_random_seed(config.training.seed)
    source = sources.open_source(config)
    steps = config.training.epochs * sources.count_batches(source.batches)
    model = make_model(network, diffusion, config, steps=steps)
    generator = Generator.from_names(model.ema_network, diffusion, config.sampling)
    run_callbacks, state = for_run(config, out, drawing(config, out, generator))
    epoch = state.restore(model)
    sources.start(source.batches, epoch)
    verbose, lines = progress()
    held_out, callbacks = validation_set(source.images, source.labels, diffusion), [*run_callbacks, *lines]
    fit(model, source.batches, held_out, config.training, epoch=epoch, callbacks=callbacks, verbose=verbose)


def draw(generator, labels, seed):
    """uint8 images of labels, one call each."""
    return generator.images(labels, 1.0, seed + np.arange(len(labels)))


def latency(generator) -> float:
    """Milliseconds of one digit, the median of 200 after 20."""
    times = []
    for seed in range(220):
        start = time.perf_counter()
        generator.image(seed % 10, 1.0, seed)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[20:]))


def row(name, weights, milliseconds, found):
    """Print one line of the table."""
    print("| " + " | ".join([name, weights, milliseconds, *quality.cells(found)]) + " |", flush=True)


if __name__ == "__main__":
    run(main)
