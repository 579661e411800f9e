"""An autoencoder and a model of its latents by `keras_ddpm.train`: runs, pictures, resumption, clear errors."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from conftest import replace_section
from PIL import Image

import keras_ddpm
from keras_ddpm import config, presets
from keras_ddpm.cli.train import from_file
from keras_ddpm.networks.autoencoder import Autoencoder
from keras_ddpm.networks.build import build_autoencoder, build_network
from keras_ddpm.saving.weights import write_weights

pytestmark = pytest.mark.neutral
TRAINING = config.TrainingConfig(
    objective="autoencoder", epochs=2, batch_size=16, warmup_steps=0, precision="float32", ema_decay=0.9, grid_every=1
)
AUTOENCODER = config.Config(
    name="autoencoder",
    data=config.DataConfig(validation_images=16),
    network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(False,), patch=1, embed_dim=16, groups=4),
    autoencoder=config.AutoencoderConfig(latent_channels=2, encoder_widths=(8, 8)),
    diffusion=config.DiffusionConfig(T=50),
    training=TRAINING,
    sampling=config.SamplingConfig(sampler="ddim", steps=2, guidance_interval=None, threshold="none"),
)


def toy(side=8, n=48):
    random = np.random.default_rng(0)
    return random.choice(np.array([0, 255], "uint8"), (n, side, side, 1)), np.arange(n, dtype="int32") % 3


def latent(codec, **training):
    """A configuration that diffuses in the latents of a codec's run."""
    given = {"objective": "diffusion", "codec": str(codec), "epochs": 1, **training}
    plain = dataclasses.replace(AUTOENCODER, name="latent", autoencoder=config.AutoencoderConfig())
    return replace_section(plain, "training", **given)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    out = tmp_path_factory.mktemp("autoencoder") / "run"
    trained = keras_ddpm.train(AUTOENCODER, out, data=toy())
    assert isinstance(trained, Autoencoder) and trained.latent_shape == (4, 4, 2)
    return out


@pytest.fixture(scope="module")
def run(autoencoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("latent") / "run"
    keras_ddpm.train(latent(autoencoder), out, data=toy())
    return out


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A folder like that of an autoencoder's run, with random weights."""
    folder = tmp_path_factory.mktemp("untrained")
    presets.write_config(folder, AUTOENCODER, (8, 8, 1), 3)
    write_weights(build_autoencoder(AUTOENCODER.autoencoder, (8, 8, 1)), folder / presets.WEIGHTS)
    return folder


@pytest.mark.slow
def test_the_run_of_an_autoencoder_has_logs_weights_and_pictures(autoencoder):
    rows = list(csv.DictReader((autoencoder / "log.csv").open()))
    assert {"loss", "l1", "bce", "kl", "val_loss", "val_l1", "val_bce", "val_kl"} <= set(rows[0]) and len(rows) == 2
    with Image.open(autoencoder / "grids" / "epoch_002.png") as grid:
        assert grid.size == (10 * 10 - 2, 4 * 10 - 2)  # 16 held-out images above their reconstructions
    same = Autoencoder.from_preset(autoencoder)
    x = toy()[0][:4].astype("float32") / 127.5 - 1
    assert np.abs(np.asarray(same(x)) - x).mean() < 1.0
    assert (autoencoder / "loss.png").is_file()


@pytest.mark.slow
def test_a_latent_run_holds_its_codec_and_shows_decoded_pictures(run, autoencoder):
    found, image_shape, _ = presets.read_config(run)
    assert found.latent and found.autoencoder == AUTOENCODER.autoencoder and image_shape == (8, 8, 1)
    assert (run / presets.CODEC).read_bytes() == (autoencoder / presets.WEIGHTS).read_bytes()
    with Image.open(run / "grids" / "epoch_001.png") as grid:
        assert grid.size == (10 * 10 - 2, 3 * 10 - 2)
    assert keras_ddpm.sample([0, 2], seed=[1, 2], preset=run).shape == (2, 8, 8)
    assert float(next(csv.DictReader((run / "log.csv").open()))["val_loss"]) > 0


@pytest.mark.slow
def test_a_latent_run_needs_its_autoencoders_run_no_more(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "moved")
    gone = latent(tmp_path / "gone", epochs=2)
    keras_ddpm.train(gone, folder, data=toy(), resume=True)
    assert len((folder / "log.csv").read_text().splitlines()) == 3
    assert (folder / presets.CODEC).read_bytes() == (run / presets.CODEC).read_bytes()


@pytest.mark.slow
def test_a_killed_run_of_each_equals_an_unbroken_one(autoencoder, tmp_path):
    for name, settings in (("autoencoder", AUTOENCODER), ("latent", latent(autoencoder, epochs=2))):
        whole, parts = tmp_path / f"{name}_whole", tmp_path / f"{name}_parts"
        constant = replace_section(settings, "training", learning_rate_schedule="constant")
        keras_ddpm.train(constant, whole, data=toy())
        for epochs in (1, 2):
            keras_ddpm.train(
                replace_section(constant, "training", epochs=epochs), parts, data=toy(), resume=epochs == 2
            )
        load = presets.load_autoencoder if name == "autoencoder" else presets.load_network
        for one, other in zip(*(load(folder).get_weights() for folder in (whole, parts))):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_latent_run_is_a_codec_too(run):
    section, image_shape, file = presets.find_autoencoder(run)
    assert (section, image_shape, file) == (AUTOENCODER.autoencoder, (8, 8, 1), run / presets.CODEC)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"codec": "nowhere"}, r"`codec` must be the folder of a trained autoencoder .* Received: 'nowhere'"),
        ({"codec": "mnist"}, r"`codec` must be the folder of a trained autoencoder .* Received: 'mnist'"),
        ({"objective": "consistency", "init": "mnist"}, "`objective` must be 'diffusion' where latents are diffused"),
        ({"objective": "autoencoder"}, "`latent_channels` must be at least 1 and `codec` None. Received: 0"),
    ],
)
def test_a_codec_that_cannot_be_used_is_named_before_any_work(untrained, change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        keras_ddpm.train(replace_section(latent(untrained), "training", **change), tmp_path / "run", data=toy())
    assert not (tmp_path / "run").exists()


def test_a_codec_of_other_images_or_clipped_latents_are_named_before_any_work(untrained, tmp_path):
    with pytest.raises(ValueError, match=r"`codec` must be of the data's images, \(12, 12, 1\)\. .*, of \(8, 8, 1\)"):
        keras_ddpm.train(latent(untrained), tmp_path / "run", data=toy(12))
    clipped = replace_section(latent(untrained), "sampling", threshold="static")
    with pytest.raises(ValueError, match="`threshold` must be 'none' where latents are diffused"):
        keras_ddpm.train(clipped, tmp_path / "run", data=toy())
    without = replace_section(AUTOENCODER, "training", objective="diffusion")
    with pytest.raises(ValueError, match="`codec` must name an autoencoder, for `latent_channels` 2"):
        keras_ddpm.train(without, tmp_path / "run", data=toy())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name, shape", [("autoencoder", (28, 28, 1)), ("canvas_autoencoder", (64, 64, 1))])
def test_a_shipped_autoencoder_makes_latents_of_a_few_numbers(name, shape):
    (settings,) = from_file(name)
    network = build_network(settings, shape, 10)
    h, w, c = network.latent_shape
    assert (h, w, c) == ((7, 7, 4) if shape[0] == 28 else (8, 8, 4)) and network.count_params() < 400_000


@pytest.mark.parametrize("name, codec", [("mnist_latent", "autoencoder"), ("canvas_latent", "canvas_autoencoder")])
def test_a_shipped_latent_configuration_names_its_codec_and_clips_nothing(name, codec):
    (settings,), (theirs,) = from_file(name), from_file(codec)
    assert settings.training.codec == f"runs/{theirs.name}" and settings.data.dataset == theirs.data.dataset
    config.check_latent(dataclasses.replace(settings, autoencoder=theirs.autoencoder))


def test_a_run_of_pixels_says_so_in_its_configuration(tmp_path):
    presets.write_config(tmp_path, config.Config(), (28, 28, 1), 10)
    assert json.loads((tmp_path / "config.json").read_text())["autoencoder"]["latent_channels"] == 0
