"""Fixtures: MNIST if it is at hand, a small preset with random weights, and headless Chromium if it is installed."""

import dataclasses
import os
import shutil

import filelock
import hypothesis
import numpy as np
import pytest

from keras_ddpm.cli.quiet import silence_tensorflow
from keras_ddpm.networks.build import build_autoencoder, build_network

silence_tensorflow()
hypothesis.settings.register_profile("laws", deadline=None)  # a law may be slow the first time, and on a busy machine
hypothesis.settings.load_profile("laws")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def mnist():
    """dict of "train" and "test" -> (images uint8 (N, 28, 28, 1), labels int32 (N,))."""
    from keras_ddpm import data

    try:
        return {split: data.load("mnist", split)[:2] for split in ("train", "test")}
    except FileNotFoundError as error:
        if os.environ.get("KERAS_DDPM_REQUIRE_DATA"):
            raise
        pytest.skip(f"this test needs MNIST. {error}")


@pytest.fixture(scope="session")
def small_preset(tmp_path_factory):
    """A folder like a run's: a small network with random weights, and what it takes to sample from it."""
    import keras

    from keras_ddpm import config, presets
    from keras_ddpm.saving.weights import write_weights

    keras.utils.set_random_seed(0)
    small = config.Config(
        name="small",
        network=config.NetworkConfig(widths=(8, 16), depths=(1, 1), embed_dim=16, groups=4),
        diffusion=config.DiffusionConfig(T=50),
        sampling=config.SamplingConfig(sampler="ddpm", steps=5, w=2.0, guidance_interval=None),
    )
    folder = tmp_path_factory.mktemp("small")
    network = build_network(small, (28, 28, 1), 10)
    randomise(network)
    presets.write_config(folder, small, (28, 28, 1), 10)
    write_weights(network, folder / presets.WEIGHTS)
    return folder


@pytest.fixture(scope="session")
def attributes_preset(small_preset, tmp_path_factory):
    """The small preset, whose network is told thickness, slant and whether the digit smiles too."""
    from keras_ddpm import presets
    from keras_ddpm.saving.weights import write_weights

    folder = tmp_path_factory.mktemp("with_attributes")
    small, image_shape, num_classes = presets.read_config(small_preset)
    small = replace_section(small, "data", attributes=("thickness", "slant", "smiles"))
    small = replace_section(small, "network", widths=(8,), depths=(1,), attention=(False,), patch=4)
    network = build_network(small, image_shape, num_classes)
    randomise(network)
    presets.write_config(folder, small, image_shape, num_classes)
    write_weights(network, folder / presets.WEIGHTS)
    return folder


@pytest.fixture(scope="session")
def latent_preset(small_preset, tmp_path_factory):
    """The small preset in the 7 x 7 x 2 latents of an autoencoder, both of random weights."""
    from keras_ddpm import presets
    from keras_ddpm.saving.weights import write_weights

    folder = tmp_path_factory.mktemp("latent")
    small, image_shape, num_classes = presets.read_config(small_preset)
    small = dataclasses.replace(replace_section(small, "network", patch=1), name="latent")
    small = replace_section(small, "autoencoder", latent_channels=2, encoder_widths=(8, 8, 16))
    small = replace_section(small, "sampling", threshold="none")
    network = build_network(small, image_shape, num_classes)
    autoencoder = build_autoencoder(small.autoencoder, image_shape)
    for model, name in ((network, presets.WEIGHTS), (autoencoder, presets.CODEC)):
        randomise(model)
        write_weights(model, folder / name)
    presets.write_config(folder, small, image_shape, num_classes)
    return folder


@pytest.fixture(scope="session")
def served_preset(small_preset, tmp_path_factory):
    """The small preset, sampled as the shipped ones are: second order, with noise, guided in an interval, and warm."""
    import shutil

    from keras_ddpm import config, presets

    folder = shutil.copytree(small_preset, tmp_path_factory.mktemp("served") / "small")
    small, image_shape, num_classes = presets.read_config(folder)
    sampling = dataclasses.replace(config.SamplingConfig(), steps=5, temperature=1.1)
    presets.write_config(folder, dataclasses.replace(small, sampling=sampling), image_shape, num_classes)
    return folder


@pytest.fixture(scope="session")
def exported(served_preset, tmp_path_factory, worker_id):
    """A model's folder with version 1 of the small preset, as a server wants it; the workers of a run share it."""
    from export.savedmodel import export

    alone = worker_id == "master"
    out = (tmp_path_factory.mktemp("models") if alone else tmp_path_factory.getbasetemp().parent / "models") / "ddpm"
    with filelock.FileLock(out.parent.with_suffix(".lock")):
        if not out.exists():
            export(served_preset, out, every=2)
    return out


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A folder with version 5 of a model without a network, for the local server (tests/serving/local_server)."""
    from small_model import write_model

    base = tmp_path_factory.mktemp("served_model")
    write_model(base / "5")
    return base


@pytest.fixture(scope="module")
def running(base):
    """A function of options that runs a local server of that folder, at free ports."""
    from serving.local_server import server
    from serving.local_server.options import Options

    return lambda **options: server.running(Options(model_base_path=base, port=0, rest_api_port=0, **options))


@pytest.fixture(scope="module")
def local(running):
    with running() as local:
        yield local


@pytest.fixture(scope="module")
def caller(local):
    from bare_calls import calling

    with calling(local) as caller:
        yield caller


def randomise(model, *, scale=0.3, seed=0):
    """Give every weight a random value, since layers that start at zero would hide what they are given."""
    random = np.random.default_rng(seed)
    model.set_weights([weight + scale * random.standard_normal(weight.shape) for weight in model.get_weights()])


def replace_section(config, section, **values):
    """A configuration with some fields of one section replaced."""
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, the system's own. While it is open an event loop runs, so no longer than one file's tests."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None and not os.environ.get("KERAS_DDPM_REQUIRE_BROWSER"):
        pytest.skip("this test needs Chromium: apt-get install chromium")
    assert path, "Chromium is required here: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # root has no sandbox
        yield browser
        browser.close()
