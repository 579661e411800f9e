"""The training that `keras-ddpm train` runs."""

import pathlib

import keras

from keras_ddpm import callbacks, data, files, presets
from keras_ddpm.augment import AUGMENTATIONS
from keras_ddpm.cli.progress import progress
from keras_ddpm.config import Config, choose
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator
from keras_ddpm.optimizer import make_optimizer
from keras_ddpm.training import DDPM, VALIDATION, use_xla


def train(config: Config, out: pathlib.Path, *, resume: bool = False) -> None:
    """Train a model.

    Args:
        config: The configuration.
        out: Folder of the run.
        resume: Whether to continue the run in `out`.
    """
    training = config.training
    keras.utils.set_random_seed(training.seed)
    keras.config.set_dtype_policy(training.precision)

    train = data.load(config.data.dataset, "train").first(config.data.train_images)
    test = data.load(config.data.dataset, "test").first(config.data.validation_images)
    batches = data.Batches(
        train.images,
        train.labels,
        batch_size=training.batch_size,
        seed=training.seed,
        augment=choose(AUGMENTATIONS, config.data.augmentation, "augmentation"),
    )

    validation = choose(VALIDATION, training.validation_noise, "validation_noise")

    diffusion = Diffusion.from_names(**vars(config.diffusion))
    network = presets.build_network(config, train.image_shape, train.num_classes)
    model = DDPM(
        network,
        diffusion,
        num_classes=train.num_classes,
        p_uncond=training.p_uncond,
        ema_decay=training.ema_decay,
        seed=training.seed,
    )
    optimizer = make_optimizer(training, steps=training.epochs * len(batches))
    model.compile(optimizer=optimizer, jit_compile=use_xla(training.jit))

    generator = Generator.from_names(model.ema_network, diffusion, config.sampling)
    run, state = callbacks.for_run(config, out, generator)
    batches.start(state.restore(model) if resume else 0)
    files.check_folder(out)
    presets.write_config(out, config, train.image_shape, train.num_classes)
    verbose, lines = progress()
    model.fit(
        batches,
        validation_data=validation(data.to_float(test.images), test.labels, diffusion.T, epoch=batches.epoch),
        validation_batch_size=4 * training.batch_size,
        epochs=training.epochs,
        initial_epoch=batches.epoch,
        callbacks=[*run, *lines],
        shuffle=False,  # `Batches` has its own order, which a resumed run repeats
        verbose=verbose,
    )
    print(f"Best weights, configuration, logs and pictures are in {out}. Draw with: --preset {out}")
