"""Training as one function: config -> data -> model -> fit -> save."""

import pathlib

import keras

from keras_ddpm import files, presets
from keras_ddpm.config import Config, choose
from keras_ddpm.data import sources
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator
from keras_ddpm.training import callbacks
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.optimizer import make_optimizer, use_xla
from keras_ddpm.training.progress import progress
from keras_ddpm.training.times import TIMES
from keras_ddpm.training.validation import VALIDATION


def train(
    config: Config,
    out: str | pathlib.Path,
    *,
    data=None,
    validation=None,
    num_classes: int | None = None,
    resume: bool = False,
) -> Generator:
    """Train a model and write its run.

    Args:
        config: `Config`.
        out: Folder of the run, which becomes a preset: weights, configuration, logs, pictures.
        data: None for `config.data.dataset`; or (images, labels), images uint8 or float in [-1, 1]; or a PyDataset or
            tf.data.Dataset of batches (x_0, label).
        validation: (images, labels) to validate on; None holds out the last `config.data.validation_images`.
        num_classes: Number of classes; needed with a PyDataset or tf.data.Dataset.
        resume: Continue the run in `out` after its last finished epoch.

    Returns:
        `Generator` with the averaged weights of the best validation loss.

    Raises:
        ValueError: before any work is done, for a configuration or data that cannot be trained with.
        OSError: if the data is not at hand or `out` cannot be written.
        FloatingPointError: if the loss becomes infinite or NaN.

    Example:
        >>> generator = keras_ddpm.train(Config(), "runs/mine", data=(images, labels))
    """
    out, training = pathlib.Path(out), config.training
    keras.utils.set_random_seed(training.seed)
    source = sources.open_source(config, data, validation=validation, num_classes=num_classes)

    diffusion = Diffusion.from_names(**vars(config.diffusion))
    network = presets.build_network(config, source.image_shape, source.num_classes, dtype=training.precision)
    model = DDPM(
        network,
        diffusion,
        p_uncond=training.p_uncond,
        ema_decay=training.ema_decay,
        times=choose(TIMES, training.times, "times"),
        seed=training.seed,
    )
    optimizer = make_optimizer(training, steps=training.epochs * sources.count_batches(source.batches))
    model.compile(optimizer=optimizer, jit_compile=use_xla(training.jit))

    generator = Generator.from_names(model.ema_network, diffusion, config.sampling)
    run, state = callbacks.for_run(config, out, generator)
    epoch = state.restore(model) if resume else 0
    if epoch >= training.epochs:
        raise ValueError(
            f"The run in {str(out)!r} has {epoch} epochs: `epochs` must be more. Received: {training.epochs}"
        )
    held_out = choose(VALIDATION, training.validation_noise, "validation_noise")

    files.check_folder(out)
    presets.write_config(out, config, source.image_shape, source.num_classes)
    sources.start(source.batches, epoch)
    verbose, lines = progress()
    model.fit(
        source.batches,
        validation_data=held_out(source.images, source.labels, diffusion, epoch=epoch),
        validation_batch_size=4 * training.batch_size,
        epochs=training.epochs,
        initial_epoch=epoch,
        callbacks=[*run, *lines],
        shuffle=False,  # `Batches` has its own order, which a resumed run repeats
        verbose=verbose,
    )
    return presets.load_preset(out)
