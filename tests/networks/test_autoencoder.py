"""Laws of the autoencoder: shapes, round trips, a scale that cancels; and of its training."""

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm.data import Batches
from keras_ddpm.networks.autoencoder import Autoencoder
from keras_ddpm.training.autoencoder import AutoencoderTraining

pytestmark = pytest.mark.neutral
JAX = keras.backend.backend() == "jax"
SMALL = {"widths": (8, 16), "groups": 4}


def small_autoencoder(image_shape=(8, 8, 1), **settings):
    network = Autoencoder(image_shape, **{**SMALL, **settings})
    network.build()
    randomise(network, scale=0.1)
    network.mean.assign(np.linspace(-1, 1, network.latent_shape[-1]))
    network.deviation.assign(np.linspace(0.5, 2, network.latent_shape[-1]))
    return network


def images(n=4, shape=(8, 8, 1)):
    return np.random.default_rng(0).uniform(-1, 1, (n, *shape)).astype("float32")


@pytest.mark.parametrize(
    "image_shape, settings, latent_shape",
    [((28, 28, 1), {"widths": (8, 8, 16)}, (7, 7, 4)), ((8, 12, 3), {"latent_channels": 2, "depth": 2}, (4, 6, 2))],
)
def test_latents_are_smaller_and_decoded_to_images_in_range(image_shape, settings, latent_shape):
    network, x = small_autoencoder(image_shape, **settings), images(2, image_shape)
    z = network.encode(x)
    assert network.latent_shape == latent_shape and tuple(z.shape) == (2, *latent_shape)
    decoded = np.asarray(network.decode(z))
    assert decoded.shape == (2, *image_shape) and np.abs(decoded).max() <= 1 and np.ptp(decoded) > 0.01
    np.testing.assert_allclose(network(x), decoded, atol=1e-5)


def test_the_scale_of_the_latents_changes_no_reconstruction():
    network, x = small_autoencoder(), images()
    before, z = np.asarray(network(x)), np.asarray(network.encode(x))
    mean, deviation = np.asarray(network.mean), np.asarray(network.deviation)
    network.mean.assign(mean + 1), network.deviation.assign(2 * deviation)
    np.testing.assert_allclose(network(x), before, atol=1e-5)
    np.testing.assert_allclose(network.encode(x), (z * deviation - 1) / (2 * deviation), atol=1e-5)


def test_an_autoencoder_round_trips(tmp_path):
    network, x = small_autoencoder(), images()
    same = Autoencoder.from_config(network.get_config())
    same.build()
    same.set_weights(network.get_weights())
    network.save(tmp_path / "autoencoder.keras")
    for other in (same, keras.saving.load_model(tmp_path / "autoencoder.keras")):
        np.testing.assert_allclose(other.encode(x), network.encode(x), atol=1e-6)
        np.testing.assert_allclose(other(x), network(x), atol=1e-6)


@pytest.mark.parametrize(
    "image_shape, settings, message",
    [
        ((9, 8, 1), {}, "The image's sides must be multiples of 2, for 2 levels. Received: 9 x 8"),
        ((8, 8, 1), {"latent_channels": 0}, r"`latent_channels` and the widths must be at least 1. Received: 0"),
        ((8, 8, 1), {"widths": (8, 6)}, "`groups`=4 must divide every width"),
        ((8, 8, 1), {"depth": 0}, "`depth` must be at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(image_shape, settings, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(image_shape, **{**SMALL, **settings})


def squares(n=64):
    """Black images with one white quarter."""
    x = np.zeros((n, 8, 8, 1), "uint8")
    for i in range(n):
        x[i, 4 * (i % 2) :, 4 * (i // 2 % 2) :][:4, :4] = 255
    return x, np.arange(n, dtype="int32") % 4


@pytest.fixture(scope="module")
def trained():
    """A training of some seconds, and its history."""
    keras.utils.set_random_seed(0)
    model = AutoencoderTraining(Autoencoder((8, 8, 1), **SMALL), ema_decay=0.9, kl_weight=0.01)
    model.compile(optimizer=keras.optimizers.Adam(5e-3), jit_compile=JAX)
    history = model.fit(Batches(*squares(640), batch_size=32), epochs=6, verbose=0, shuffle=False)
    return model, history.history


def test_squares_are_learned_and_their_latents_have_mean_0_and_standard_deviation_1(trained):
    (model, history), x = trained, Batches(*squares(), batch_size=64)[0][0]
    assert np.abs(np.asarray(model.ema_network(x)) - x).mean() < 0.1 < history["l1"][0]
    z = np.asarray(model.ema_network.encode(x))
    np.testing.assert_allclose(z.mean(axis=(0, 1, 2)), 0, atol=0.1)
    np.testing.assert_allclose(z.std(axis=(0, 1, 2)), 1, atol=0.1)


def test_validation_is_of_the_averaged_network_and_draws_nothing(trained):
    model, x = trained[0], images(64)
    first, again = (model.evaluate((x,), batch_size=64, verbose=0, return_dict=True) for _ in range(2))
    assert first == again
    l1 = np.abs(np.asarray(model.ema_network(x)) - x).mean()
    assert first["l1"] == pytest.approx(l1, abs=1e-5)
    assert first["loss"] == pytest.approx(first["l1"] + first["bce"] + 0.01 * first["kl"], abs=1e-5)


def test_the_terms_of_the_loss_are_their_formulas(trained):
    model, x = trained[0], images(3)
    network = model.network
    mu, log_variance = (np.asarray(a, "float64") for a in network.posterior(x))
    terms = {n: np.asarray(v) for n, v in model.losses(network, x, *network.posterior(x), mu.astype("float32")).items()}
    y = np.asarray(network.decoder(mu.astype("float32")), "float64")
    p, q = (x + 1) / 2, 1 / (1 + np.exp(-2 * y))
    bce = np.logaddexp(0, 2 * y) - 2 * y * p  # -(p log q + (1 - p) log(1 - q)), where q is not rounded to 1
    np.testing.assert_allclose(terms["l1"], np.abs(2 * q - 1 - x).mean(axis=(1, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(terms["bce"], bce.mean(axis=(1, 2, 3)), rtol=1e-4)
    kl = 0.5 * (mu**2 + np.exp(log_variance) - 1 - log_variance)
    np.testing.assert_allclose(terms["kl"], kl.mean(axis=(1, 2, 3)), rtol=1e-4)


def test_a_training_round_trips_and_a_negative_weight_is_named(trained):
    model = trained[0]
    same = AutoencoderTraining.from_config(model.get_config())
    assert (same.kl_weight, same.ema_decay, same.network.latent_shape) == (0.01, 0.9, (4, 4, 4))
    with pytest.raises(ValueError, match=r"`kl_weight` must be finite and at least 0\. Received: -1"):
        AutoencoderTraining(model.network, kl_weight=-1)
