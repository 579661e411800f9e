"""Latent diffusion: every way in decodes, a preset is its folder, and what latents have not is one clear error."""

import dataclasses
import functools
import json
import shutil

import keras
import numpy as np
import pytest
from conftest import replace_section

import keras_ddpm
from keras_ddpm import guidance, presets, runtimes
from keras_ddpm.codec import Identity, codec_of
from keras_ddpm.data import to_uint8
from keras_ddpm.generator import Generator
from keras_ddpm.networks.autoencoder import Autoencoder
from keras_ddpm.saving.weights import write_weights
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.validation import validation_set

pytestmark = pytest.mark.neutral
DIGITS, SEEDS = np.array([3, 7, 1]), np.array([5, 2**40, 6])
MNIST = (28, 28, 1)


@pytest.fixture(scope="module")
def generator(latent_preset):
    return presets.load_preset(latent_preset)


@pytest.fixture(scope="module")
def drawn(latent_preset):
    return keras_ddpm.sample(DIGITS, 2.0, seed=SEEDS, preset=latent_preset)


def test_what_is_drawn_is_the_decoded_end_of_the_path(generator, drawn):
    path = generator.path(DIGITS, 2.0, SEEDS)
    assert path["x_s"].shape == (3, 5, 7, 7, 2) and path["image"].shape == (3, *MNIST)
    assert drawn.shape == (3, 28, 28) and np.ptp(drawn) > 50
    autoencoder = generator.codec
    np.testing.assert_allclose(path["image"], autoencoder.decode(path["x_s"][:, -1]), atol=1e-5)
    np.testing.assert_allclose(to_uint8(path["image"])[..., 0].astype(int), drawn, atol=1)


def test_an_image_is_the_same_in_every_way_of_a_generator(generator, drawn):
    for images in (
        to_uint8(generator.sample(DIGITS, 2.0, SEEDS)["image"]),
        to_uint8(generator.trajectory(DIGITS, 2.0, SEEDS)[1][:, -1]),
    ):
        np.testing.assert_allclose(images[..., 0].astype(int), drawn, atol=1)


@pytest.mark.slow
def test_an_image_is_the_same_alone_in_a_film_and_at_the_ends_of_editing(latent_preset, drawn):
    for images in (
        keras_ddpm.film(DIGITS, 2.0, seed=SEEDS, preset=latent_preset)[:, -1],
        keras_ddpm.interpolate((3, 7), (5, 2**40), n=2, w=2.0, preset=latent_preset),
        keras_ddpm.vary(np.zeros((3, 28, 28), "uint8"), 1.0, digit=DIGITS, w=2.0, seed=SEEDS, preset=latent_preset),
    ):
        np.testing.assert_allclose(images.astype(int), drawn[: len(images)], atol=1)
    alone = keras_ddpm.sample(7, 2.0, seed=2**40, preset=latent_preset)
    np.testing.assert_allclose(alone.astype(int), drawn[1], atol=1)


@pytest.mark.slow
def test_a_variation_starts_from_the_images_latents(generator, latent_preset):
    image = np.random.default_rng(0).integers(0, 256, MNIST, "uint8")
    near, far = (
        keras_ddpm.vary(image[..., 0], level, digit=3, seed=1, preset=latent_preset).astype(int)
        for level in (0.02, 1.0)
    )
    rebuilt = to_uint8(np.asarray(generator.codec(image[None].astype("float32") / 127.5 - 1)))[0, ..., 0]
    assert np.abs(near - rebuilt).mean() < 0.5 * np.abs(far - rebuilt).mean()


def test_states_of_any_leading_shape_are_decoded_and_images_of_pixels_are_left_alone(generator, small_preset):
    states = np.random.default_rng(0).standard_normal((2, 3, 7, 7, 2)).astype("float32")
    images = generator.decoded(states)
    np.testing.assert_allclose(images[1, 2], generator.codec.decode(states[1, 2:])[0], atol=1e-5)
    np.testing.assert_allclose(generator.encoded(images)[1], generator.codec.encode(images[1]), atol=1e-4)
    pixels = presets.load_preset(small_preset)
    assert pixels.codec == Identity(MNIST) and pixels.decoded(images) is images and pixels.encoded(images) is images


@pytest.mark.parametrize("way", ["config", "file"])
def test_a_latent_generator_round_trips(generator, tmp_path, way):
    if way == "file":
        generator.save(tmp_path / "generator.keras")
        same = keras.saving.load_model(tmp_path / "generator.keras")
    else:
        same = Generator.from_config(generator.get_config())
        same.network.set_weights(generator.network.get_weights())
        same.codec.set_weights(generator.codec.get_weights())
    np.testing.assert_array_equal(same.images(DIGITS, 2.0, SEEDS), generator.images(DIGITS, 2.0, SEEDS))


def test_a_preset_is_its_folder_and_its_fingerprint_is_of_both_files(latent_preset, tmp_path, drawn):
    folder = shutil.copytree(latent_preset, tmp_path / "moved")
    np.testing.assert_array_equal(keras_ddpm.sample(DIGITS, 2.0, seed=SEEDS, preset=folder), drawn)
    assert presets.fingerprint(folder) == presets.fingerprint(latent_preset)
    autoencoder = Autoencoder.from_preset(folder)
    assert autoencoder.latent_shape == (7, 7, 2) and autoencoder.image_shape == presets.read_config(folder)[1] == MNIST
    autoencoder.set_weights([2 * weight for weight in autoencoder.get_weights()])
    write_weights(autoencoder, folder / presets.CODEC)
    assert presets.fingerprint(folder) != presets.fingerprint(latent_preset)
    assert np.any(keras_ddpm.sample(DIGITS, 2.0, seed=SEEDS, preset=folder) != drawn)


def test_a_missing_codec_is_one_clear_error(latent_preset, tmp_path):
    folder = shutil.copytree(latent_preset, tmp_path / "without")
    (folder / presets.CODEC).unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no weights file '.*codec\.weights\.h5'"):
        keras_ddpm.sample(7, preset=folder)


def test_older_configurations_draw_images(small_preset, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "older")
    values = json.loads((folder / "config.json").read_text())
    del values["autoencoder"], values["training"]["codec"]
    (folder / "config.json").write_text(json.dumps(values))
    assert presets.load_codec(folder) == Identity(MNIST)
    assert presets.read_config(folder) == presets.read_config(small_preset)
    assert presets.fingerprint(folder) == presets.fingerprint(small_preset)


def test_a_codec_of_another_shape_is_one_clear_error(generator, small_preset):
    pixels = presets.load_network(small_preset)
    message = r"`codec` must have latents of \(28, 28, 1\), .* Received: one from \(28, 28, 1\) to \(7, 7, 2\)"
    for make in (
        functools.partial(Generator, threshold=guidance.unlimited, steps=5),
        DDPM,
    ):
        with pytest.raises(ValueError, match=message):
            make(pixels, generator.diffusion, codec=generator.codec)
    assert codec_of(pixels) == Identity(MNIST)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p: presets.load_preset(p, threshold="static"), "`threshold` must be 'none' where latents .*'static'"),
        (lambda p: presets.load_preset(p, threshold="dynamic"), "`threshold` must be 'none' where latents"),
        (lambda p: keras_ddpm.sample(7, guide="clip", preset=p), "`guide` must be None where latents .*'clip'"),
        (
            lambda p: keras_ddpm.restore(np.zeros((28, 28), "uint8"), mask=np.eye(28), preset=p),
            "Restoration works on pixels: `preset` must diffuse images.* Received: 'latent'",
        ),
        (lambda p: runtimes.load(p, "litert"), "A runtime works on pixels.* Received: 'latent'"),
    ],
)
def test_what_latents_have_not_is_one_clear_error(latent_preset, call, message):
    with pytest.raises(ValueError, match=message):
        call(latent_preset)


@pytest.mark.parametrize("threshold", [guidance.clip, guidance.dynamic_threshold])
def test_a_generator_does_not_clip_latents(generator, threshold):
    parts = (generator.network, generator.diffusion)
    with pytest.raises(ValueError, match=f"`threshold` must be `guidance.unlimited`.*'{threshold.__name__}'"):
        Generator(*parts, codec=generator.codec, steps=5, threshold=threshold)


def test_training_diffuses_latents_and_leaves_the_codec_alone(latent_preset):
    loaded = presets.load_preset(latent_preset)
    model, x = (
        DDPM(loaded.network, loaded.diffusion, codec=loaded.codec),
        np.tanh(np.random.default_rng(0).standard_normal((8, *MNIST))),
    )
    x, labels = x.astype("float32"), (np.arange(8) % 10).astype("int32")
    assert len(model.trainable_variables) == len(loaded.network.trainable_variables)
    ((images, condition, t, eps),) = validation_set(x, labels, loaded.diffusion, shape=(7, 7, 2))
    assert eps.shape == (8, 7, 7, 2)
    measured = model.measure(((images, condition, t, eps),))
    z = np.asarray(loaded.codec.encode(x))
    expected = model.losses(model.ema_network, z, {"label": labels}, t, eps)
    assert float(measured["loss"]) == pytest.approx(float(np.mean(expected)), rel=1e-4)
    same = DDPM.from_config(model.get_config())
    assert same.codec.latent_shape == (7, 7, 2)


@pytest.mark.slow
def test_a_step_of_training_changes_the_network_and_not_its_codec(latent_preset):
    loaded = presets.load_preset(latent_preset)
    model, x = (
        DDPM(loaded.network, loaded.diffusion, codec=loaded.codec),
        np.tanh(np.random.default_rng(0).standard_normal((8, *MNIST))),
    )
    x, labels = x.astype("float32"), (np.arange(8) % 10).astype("int32")
    before, first = loaded.codec.get_weights(), loaded.network.get_weights()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=keras.backend.backend() == "jax")
    model.fit(x, labels, batch_size=8, epochs=1, verbose=0)
    for one, other in zip(before, loaded.codec.get_weights()):
        np.testing.assert_array_equal(one, other)
    assert any(np.any(one != other) for one, other in zip(first, loaded.network.get_weights()))


def test_a_configuration_of_latents_knows_it_and_an_autoencoder_is_no_model_that_draws(latent_preset, tmp_path):
    config, image_shape, num_classes = presets.read_config(latent_preset)
    assert config.latent and not replace_section(config, "autoencoder", latent_channels=0).latent
    alone = replace_section(config, "training", objective="autoencoder")
    presets.write_config(tmp_path, dataclasses.replace(alone, name="autoencoder"), image_shape, num_classes)
    with pytest.raises(ValueError, match="`preset` must be a model that draws: an autoencoder is for `codec`"):
        keras_ddpm.sample(7, preset=tmp_path)
