"""Laws of curricula over the noise levels, of the self-perceptual loss, and of diffusion with a discriminator."""

import keras
import numpy as np
import pytest
from conftest import randomise
from keras import ops
from test_ddpm import DIFFUSION, JAX, assert_resumes, batches, new_network, toy_data
from test_ddpm import new_model as diffusion_model

from keras_ddpm.config import Config, TrainingConfig
from keras_ddpm.training.losses.diffusion_gan import DiffusionGAN
from keras_ddpm.training.losses.perceptual import PerceptualTuning
from keras_ddpm.training.objectives import make_model
from keras_ddpm.training.times import CURRICULA, high_noise_first, low_noise_first

pytestmark = pytest.mark.neutral
NARROWING = {name: function for name, function in CURRICULA.items() if function}


def new_model(kind, *, seed=0, learning_rate=1e-3, **settings):
    keras.utils.set_random_seed(seed)
    model = kind(new_network(), DIFFUSION, seed=seed, **settings)
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate), jit_compile=JAX)
    for network in (model.network, model.ema_network, *([model.frozen] if kind is PerceptualTuning else [])):
        randomise(network, scale=0.1)
    return model


def real(n=16):
    images, labels = toy_data(n)
    return ops.convert_to_tensor(images.astype("float32") / 127.5 - 1), labels


def times_and_noise(n=16):
    random = np.random.default_rng(0)
    return [random.uniform(0.05, 1, n).astype("float32") for _ in range(2)], random.standard_normal(
        (n, 8, 8, 1)
    ).astype("float32")


@pytest.mark.parametrize("name", NARROWING)
def test_a_curriculum_begins_narrow_and_sees_every_time_from_the_middle_on(name):
    u, curriculum = np.linspace(1e-4, 1, 101, dtype="float32"), NARROWING[name]
    widths = []
    for done in (0.0, 0.25, 0.4999, 0.5, 0.9, 1.0):
        seen = np.asarray(curriculum(u, np.float32(done)))
        assert np.all((seen > 0) & (seen <= 1)) and np.all(np.diff(seen) > 0)
        widths.append(np.ptp(seen))
        assert seen[-1] == 1 or (name == "low_noise_first" and seen[0] < 1e-4)
    np.testing.assert_allclose(widths, np.array([0.1, 0.55, 1, 1, 1, 1]) * (1 - 1e-4), rtol=1e-3)


@pytest.mark.parametrize("curriculum, low, high", [(low_noise_first, 0, 0.19), (high_noise_first, 0.8, 1)])
def test_training_follows_the_curriculum_and_validation_does_not(curriculum, low, high):
    model, (x_0, labels) = diffusion_model(curriculum=curriculum, steps=100), real(50)
    model.optimizer.iterations.assign(5)  # c = 0.1 + 0.9 / 10 there
    t = np.asarray(model(x_0, labels)[1])
    assert low < t.min() and t.max() <= high + 1e-6
    measured = []
    model.losses = lambda network, x_0, condition, t, eps: measured.append(np.asarray(t)) or ops.zeros_like(t)
    model.measure((x_0, labels))
    assert measured[0].min() < 0.05 and measured[0].max() > 0.95
    model.optimizer.iterations.assign(50)
    t = np.asarray(model.draw_t(50, model.curriculum))
    assert t.min() < 0.05 and t.max() > 0.95


def test_a_curriculum_needs_to_know_how_long_the_run_is():
    with pytest.raises(ValueError, match="`steps` must be the run's optimizer steps"):
        diffusion_model(curriculum=low_noise_first)


def test_a_curriculum_round_trips_through_a_keras_file(tmp_path):
    model = diffusion_model(curriculum=high_noise_first, steps=7)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.curriculum, loaded.steps) == (high_noise_first, 7)


def test_an_exact_prediction_has_no_perceptual_loss_and_a_wrong_one_has():
    model, (x_0, labels) = new_model(PerceptualTuning), real()
    (t, r), eps = times_and_noise()
    condition, exact = {"label": labels}, DIFFUSION.target(x_0, eps, t)
    model.network.call = lambda x_t, t, condition, training=None: exact
    np.testing.assert_allclose(model.distances(x_0, condition, t, eps, r), 0, atol=1e-6)
    model.network.call = lambda x_t, t, condition, training=None: exact + 0.5
    assert np.min(model.distances(x_0, condition, t, eps, r)) > 1e-5


def test_the_perceptual_loss_is_the_distance_of_frozen_features_as_in_the_paper():
    model, (x_0, labels) = new_model(PerceptualTuning), real()
    (t, r), eps = times_and_noise()
    condition, (alpha_r, sigma_r) = {"label": labels}, DIFFUSION.alpha_sigma(r)
    alpha_t, sigma_t = DIFFUSION.alpha_sigma(t)
    x_t = alpha_t * x_0 + sigma_t * eps
    v = model.network(x_t, t, condition)
    f, e = alpha_t * x_t - sigma_t * v, sigma_t * x_t + alpha_t * v
    seen, wanted = (
        np.asarray(model.frozen.features(alpha_r * image + sigma_r * noise, r, condition))
        for image, noise in ((f, e), (x_0, eps))
    )
    expected = np.mean((seen - wanted) ** 2, axis=(1, 2, 3))
    assert expected.min() > 1e-6
    np.testing.assert_allclose(model.distances(x_0, condition, t, eps, r), expected, rtol=1e-2, atol=1e-6)


@pytest.mark.slow
def test_tuning_by_features_leaves_the_features_as_they_are_and_validates_by_the_squared_error():
    model = new_model(PerceptualTuning)
    before = [model.frozen.get_weights(), model.network.get_weights()]
    plain = diffusion_model()
    plain.ema_network.set_weights(model.ema_network.get_weights())
    (t, _), eps = times_and_noise()
    given = ((*real(), t, eps),)
    found, expected = (each.evaluate(*given, verbose=0, return_dict=True)["loss"] for each in (model, plain))
    assert found == pytest.approx(expected, rel=1e-5)
    model.fit(batches(), epochs=1, verbose=0)
    for old, new in zip(before[0], model.frozen.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert any(np.any(old != new) for old, new in zip(before[1], model.network.get_weights()))


def test_a_network_without_features_cannot_be_tuned_by_them():
    with pytest.raises(ValueError, match="`network` must have a method `features`"):
        PerceptualTuning(
            keras.Sequential([keras.Input((8, 8, 1))]),
            DIFFUSION,
            conditions={"label": new_network().conditions["label"]},
            ema_decay=0.0,
        )


def test_the_network_follows_the_squared_error_and_the_discriminator_in_the_weights_given():
    model, (x_0, label) = new_model(DiffusionGAN, adversarial_weight=0.05, mismatch=0.0, steps=10), real()
    label = ops.convert_to_tensor(label)
    (t, _), eps = times_and_noise()
    x_t, target = DIFFUSION.add_noise(x_0, eps, t), DIFFUSION.target(x_0, eps, t)

    def estimates(*args, **kwargs):
        y = model.network(x_t, t, {"label": label})
        return DIFFUSION.x_0(y, x_t, t), ops.mean(ops.square(y - target), axis=(1, 2, 3)), ops.convert_to_tensor(t)

    def expected():
        found, losses, _ = estimates()
        shown = ops.clip(found, -1.0, 1.0)
        overshoot = 0.05 * ops.mean(ops.sum(ops.square(found - shown), axis=(1, 2, 3)))
        margin = model.discriminator(x_0, label) - model.discriminator(shown, label)
        return ops.mean(losses) / 0.05 + ops.mean(ops.softplus(margin)) + overshoot, None

    variables = model.network.trainable_variables
    wanted, _ = model.gradients(expected, variables)
    model.call = estimates
    found, logs = model.gradients(lambda: model.game(x_0, label), variables)
    for variable, ours, theirs in zip(variables, found, wanted):
        ours, theirs = (ops.convert_to_numpy(g) if not hasattr(g, "indices") else None for g in (ours, theirs))
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-3, err_msg=variable.path)
    assert float(logs["loss"]) == pytest.approx(float(ops.mean(estimates()[1])), rel=1e-5)


def test_its_estimates_and_errors_are_those_of_diffusion_training():
    model, (x_0, label) = new_model(DiffusionGAN, p_uncond=0.0), real()
    plain = diffusion_model(p_uncond=0.0)
    plain.network.set_weights(model.network.get_weights())
    for seeds in (model.seeds, plain.seeds):
        seeds.state.assign(ops.convert_to_tensor(np.array([3, 4], "uint32")))
    fakes, losses, _ = model(x_0, label)
    assert fakes.shape == x_0.shape
    np.testing.assert_allclose(losses, plain(x_0, label)[0], rtol=1e-4, atol=1e-6)


def test_a_discriminator_without_weight_is_refused():
    with pytest.raises(ValueError, match="`adversarial_weight` must be above 0"):
        new_model(DiffusionGAN, adversarial_weight=0.0)


@pytest.mark.parametrize("kind", [PerceptualTuning, DiffusionGAN])
@pytest.mark.slow
def test_an_interrupted_run_equals_an_uninterrupted_one(kind, tmp_path):
    assert_resumes(*(new_model(kind, steps=8, curriculum=low_noise_first) for _ in range(3)), tmp_path, atol=2e-5)


@pytest.mark.parametrize("objective, kind", [("perceptual", PerceptualTuning), ("diffusion_gan", DiffusionGAN)])
def test_a_configuration_names_the_objective_and_the_curriculum(objective, kind):
    training = TrainingConfig(objective=objective, curriculum="low_noise_first", precision="float32")
    model = make_model(new_network(), DIFFUSION, Config(training=training), steps=9)
    assert type(model) is kind and (model.curriculum, model.steps) == (low_noise_first, 9)
    twin = kind.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
