"""Training as one function: config -> data -> model -> fit -> save; a recipe is several configurations in a row."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Sequence

import keras

from keras_ddpm import presets
from keras_ddpm.config import Config, Devices, check_latent, choose, recipe_to_json
from keras_ddpm.data import sources
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator
from keras_ddpm.networks.autoencoder import Autoencoder
from keras_ddpm.networks.build import build_network
from keras_ddpm.saving import files
from keras_ddpm.saving.files import write_text
from keras_ddpm.saving.weights import read_weights
from keras_ddpm.training import speed
from keras_ddpm.training.autoencoder import ReconstructionGrid
from keras_ddpm.training.callbacks import STATE, drawing, epochs_done, for_run
from keras_ddpm.training.distribution import agreement, cluster
from keras_ddpm.training.distribution.devices import CopyWeights, Placement, Together
from keras_ddpm.training.objectives import TUNING, make_model
from keras_ddpm.training.progress import progress
from keras_ddpm.training.validation import VALIDATION

RECIPE = "recipe.json"


def train(
    config: Config | Sequence[Config],
    out: str | pathlib.Path,
    *,
    data=None,
    validation=None,
    num_classes: int | None = None,
    resume: bool = False,
    devices: Devices | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Generator | Autoencoder:
    """Train a model and write its run.

    Args:
        config: `Config`, or the stages of a recipe, of one network, each of which starts from the weights of the one
            before. All but the last are runs in folders of their names within `out`.
        out: Folder of the run, which becomes a preset: weights, configuration, logs, pictures.
        data: None for `config.data.dataset`; or (images, labels), images uint8 or float in [-1, 1]; or a PyDataset or
            tf.data.Dataset of batches (x_0, label). With `config.data.attributes` the labels of arrays are a dict that
            holds those that are not measured on the images, and the batches are (x_0, dict of all conditions).
        validation: (images, labels) to validate on; None holds out the last `config.data.validation_images`.
        num_classes: Number of classes; needed with a PyDataset or tf.data.Dataset.
        resume: Continue the run in `out` after its last finished epoch.
        devices: `Devices` to train on, of this process or of several, each of which calls this function; None for one.
            Only the first process writes.
        callbacks: Callbacks of your own, of each stage. An epoch's end reaches them after it was written.

    Returns:
        `Generator` with the averaged weights of the best validation loss; tuning and diffusion_gan keep the last ones.
        With the objective "autoencoder" the `Autoencoder`.

    Raises:
        ValueError: before any work is done, for a configuration or data that cannot be trained with.
        OSError: if the data is not at hand or `out` cannot be written.
        FloatingPointError: if the loss becomes infinite or NaN.

    Example:
        >>> generator = keras_ddpm.train(Config(), "runs/mine", data=(images, labels))
    """
    placement = Placement(cluster.resolve(devices or Devices(), os.environ))
    given = {"data": data, "validation": validation, "num_classes": num_classes, "resume": resume}
    given |= {"placement": placement, "extra": callbacks}
    if isinstance(config, Config):
        return _train(config, pathlib.Path(out), init=config.training.init, **given)
    stages, out, init = check_recipe(config), pathlib.Path(out), None
    for stage in stages:
        folder = out if stage is stages[-1] else out / stage.name
        if not (resume and folder is not out and epochs_done(folder) >= stage.training.epochs):
            generator = _train(stage, folder, init=stage.training.init or init, recipe=(out, stages), **given)
        init = folder
    return generator


def check_recipe(stages: Sequence[Config]) -> tuple[Config, ...]:
    """The stages, if they follow each other.

    Raises:
        ValueError: if there are none, two have one name, or their network or diffusion differ.
    """
    stages = tuple(stages)
    names = [stage.name if isinstance(stage, Config) else stage for stage in stages]
    if not stages or not all(isinstance(stage, Config) for stage in stages) or len(set(names)) < len(names):
        raise ValueError(f"A recipe must be `Config`s of different names, at least one. Received: {names}")
    if len({(stage.network, stage.diffusion) for stage in stages}) > 1:
        raise ValueError("The stages of a recipe must have one `network` and one `diffusion`, since weights are kept")
    return stages


def _train(config, out, *, placement, init, data, validation, num_classes, resume, extra, recipe=None):
    training, processes = config.training, placement.processes
    with processes.preparing():
        if training.objective in TUNING and init is None:
            raise ValueError(
                f"`objective` {training.objective!r} tunes a trained model: `init` must name one. Received: None"
            )
        start = out / STATE if resume and (out / STATE).exists() else None
        config, image_shape, codec = _with_codec(config, out if start else training.codec)
        source = sources.open_source(config, data, validation=validation, num_classes=num_classes)
        if codec is not None and image_shape != source.image_shape:
            raise ValueError(
                f"`codec` must be of the data's images, {source.image_shape}. "
                f"Received: {training.codec!r}, of {image_shape}"
            )
        placement.check(training, source.batches)
        with placement.scope():
            config = speed.settle(config, source, run=start and out, codec=codec)
        keras.utils.set_random_seed(training.seed)
        if start is None and init is not None:
            start = presets.weights_file(init)
        given = {"start": start, "codec": codec, "resume": resume}
        processes.agree(lambda: agreement.terms(config, source, devices=placement.count, **given))
    with processes.working(), placement.scope():
        _fit(config, out, source, placement=placement, recipe=recipe, extra=extra, **given)
    processes.wait("end")
    return presets.load_autoencoder(out) if training.objective == "autoencoder" else presets.load_preset(out)


def _with_codec(config, named):
    """A configuration with the sizes of the codec in a folder; the images it is for, and the file of its weights."""
    training, channels = config.training, config.autoencoder.latent_channels
    if training.objective == "autoencoder":
        if channels < 1 or training.codec is not None:
            raise ValueError(
                "With `objective` 'autoencoder', `latent_channels` must be at least 1 and `codec` None. "
                f"Received: {channels}, {training.codec!r}"
            )
        return config, None, None
    if training.codec is None:
        if config.latent:
            raise ValueError(f"`codec` must name an autoencoder, for `latent_channels` {channels}. Received: None")
        return config, None, None
    section, image_shape, file = presets.find_autoencoder(named)
    config = dataclasses.replace(config, autoencoder=section)
    check_latent(config)
    return config, image_shape, file


def _fit(config, out, source, *, placement, start, codec, resume, recipe, extra):
    training, writes = config.training, placement.processes.first
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    network = build_network(config, source.image_shape, source.num_classes, dtype=training.precision)
    if start is not None and start.name != STATE:
        read_weights(network, start)
    latents = presets.make_codec(config, source.image_shape, codec)
    steps = training.epochs * sources.count_batches(source.batches)
    model = make_model(network, diffusion, config, steps=steps, codec=latents)

    with placement.outside():
        drawn = model.ema_network
        if placement.several:
            drawn = build_network(config, source.image_shape, source.num_classes, dtype=training.precision)
            latents = presets.make_codec(config, source.image_shape, codec)
        shown = _shown(config, out, source, drawn, diffusion, latents)
    run, state = for_run(config, out, shown, writes=writes, alone=placement.alone)
    if placement.several and writes:
        run.insert(0, CopyWeights(drawn))
    epoch = state.restore(model) if resume else 0
    if epoch >= training.epochs:
        raise ValueError(
            f"The run in {str(out)!r} has {epoch} epochs: `epochs` must be more. Received: {training.epochs}"
        )
    if training.objective == "autoencoder":
        held_out = ((source.images,),)
    else:
        validation = choose(VALIDATION, training.validation_noise, "validation_noise")
        shape = latents.latent_shape
        held_out = validation(source.images, source.labels, diffusion, shape=shape, epoch=epoch)

    if writes:
        files.check_folder(out)
        if codec is not None and codec != out / presets.CODEC:
            with files.atomic(out / presets.CODEC) as partial:
                shutil.copyfile(codec, partial)
        presets.write_config(out, config, source.image_shape, source.num_classes)
        if recipe is not None:
            write_text(recipe[0] / RECIPE, recipe_to_json(recipe[1]))
    sources.start(source.batches, epoch)
    verbose, lines = progress() if writes else (0, [])
    callbacks = [*run, *lines, *extra, Together(placement.processes)]
    held_out = placement.held_out(held_out, validation_batch(training))
    fit(model, placement.share(source.batches), held_out, training, epoch=epoch, callbacks=callbacks, verbose=verbose)


def fit(model, batches, held_out, training, *, epoch, callbacks, verbose) -> None:
    """Fit a model of a run from an epoch on to the last of its `TrainingConfig`."""
    model.fit(
        batches,
        validation_data=held_out,
        validation_batch_size=validation_batch(training),
        epochs=training.epochs,
        initial_epoch=epoch,
        callbacks=callbacks,
        shuffle=False,  # `Batches` has its own order, which a resumed run repeats
        verbose=verbose,
    )


def validation_batch(training) -> int:
    """Rows of a batch of validation, which needs no gradients."""
    return 4 * training.batch_size


def _shown(config, out, source, network, diffusion, codec):
    """The callbacks that show the averaged network: reconstructions of an autoencoder, samples of all else."""
    every = config.training.grid_every
    if config.training.objective != "autoencoder":
        return drawing(config, out, Generator.from_names(network, diffusion, config.sampling, codec=codec))
    return [ReconstructionGrid(network, source.images, out / "grids", every=every)] if every else []
