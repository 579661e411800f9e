"""Laws of fine-tuning by a score: the gradient of DRaFT-1 is that of the last call; low scores weigh more."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import randomise
from keras import ops
from test_ddpm import DIFFUSION, JAX, assert_resumes, batches, new_network, toy_data
from test_ddpm import new_model as diffusion_model
from test_recipe import stages

import keras_ddpm
from keras_ddpm import guidance, guides, samplers
from keras_ddpm.config import Config, NetworkConfig, SamplingConfig, TrainingConfig
from keras_ddpm.generator import Generator
from keras_ddpm.networks.build import build_network
from keras_ddpm.noise import split_seed
from keras_ddpm.training.losses.draft import DraftTuning
from keras_ddpm.training.losses.score_weighted import ScoreWeightedTuning
from keras_ddpm.training.objectives import make_model

pytestmark = pytest.mark.neutral
KINDS = {"draft": DraftTuning, "clip_weighted": ScoreWeightedTuning}


@keras.saving.register_keras_serializable("tests")
def brightness(x_0, condition):
    """A logarithm of a share, at most 0, that is higher the brighter an image is, and knows its label."""
    return 0.5 * (ops.mean(x_0, axis=(1, 2, 3)) - 1.0) - 0.1 * ops.cast(condition["label"], "float32")


def new_model(kind, *, seed=0, learning_rate=1e-3, **settings):
    keras.utils.set_random_seed(seed)
    model = kind(new_network(), DIFFUSION, seed=seed, score=brightness, **settings)
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate), jit_compile=JAX)
    randomise(model.network, scale=0.1)
    randomise(model.ema_network, scale=0.1, seed=1)
    return model


def real(n=16):
    images, labels = toy_data(n)
    return ops.convert_to_tensor(images.astype("float32") / 127.5 - 1), ops.convert_to_tensor(labels)


def as_arrays(gradients):
    return [np.asarray(ops.convert_to_tensor(gradient)) for gradient in gradients]


@pytest.mark.parametrize("sampler", [samplers.ddim, samplers.dpm_solver_pp_2m_sde])
def test_what_is_scored_is_drawn_as_the_averaged_network_draws(sampler):
    model, (_, label) = new_model(DraftTuning, sampler=sampler, reward_steps=4), real(5)
    key = split_seed(np.arange(5))
    drawn = Generator(model.ema_network, DIFFUSION, sampler=sampler, steps=4, guidance=guidance.unguided)
    x_s, x_0 = drawn.draw({"label": label}, np.ones(5, "float32"), key, path=True)[1:]
    x_t = model.before_the_last_step(key, {"label": label})
    np.testing.assert_allclose(x_t, x_s[-2], atol=1e-4)
    model.network.set_weights(model.ema_network.get_weights())
    np.testing.assert_allclose(x_s[-1], x_0[-1], atol=1e-4)  # the last step ends at the estimate
    expected = brightness(x_s[-1], {"label": label})
    np.testing.assert_allclose(model.reward(x_t, {"label": label}), expected, atol=1e-4)


def test_its_gradient_is_that_of_the_score_through_the_last_call_and_of_diffusion():
    weight = 0.3
    model, (x_0, label) = new_model(DraftTuning, reward_weight=weight, ema_decay=0.0, p_uncond=0.0), real()
    variables, condition = model.network.trainable_variables, {"label": label}
    start = np.array([3, 4], "uint32")

    def loss():
        model.seeds.state.assign(ops.convert_to_tensor(start))
        return ops.mean(model(x_0, label)[0]), None

    found = as_arrays(model.gradients(loss, variables)[0])
    model.seeds.state.assign(ops.convert_to_tensor(start))
    t, eps, _ = model.draw(x_0, condition)
    key = ops.cast(keras.random.randint((16, 2), 0, 2**31 - 1, seed=model.seeds), "uint32")
    x_t = ops.convert_to_tensor(np.array(model.before_the_last_step(key, condition)))  # a constant
    alpha, sigma = (float(a) for a in DIFFUSION.alpha_sigma(np.float32(0.2)))  # the last of five steps

    def by_hand():
        v = model.network(x_t, ops.full((16,), 0.2), condition)
        scores = brightness(ops.clip(alpha * x_t - sigma * v, -1.0, 1.0), condition)
        losses = model.losses(model.network, x_0, condition, t, eps, training=True)
        return ops.mean(losses) - weight * ops.mean(scores), None

    expected = as_arrays(model.gradients(by_hand, variables)[0])
    for variable, ours, theirs in zip(variables, found, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-3, err_msg=variable.path)
    assert max(np.abs(gradient).max() for gradient in expected) > 1e-2


def test_without_weight_the_score_moves_nothing():
    model, plain = new_model(DraftTuning, reward_weight=0.0), diffusion_model()
    plain.network.set_weights(model.network.get_weights())
    gradients = []
    for each in (model, plain):
        each.seeds.state.assign(ops.convert_to_tensor(np.array([3, 4], "uint32")))
        variables = each.network.trainable_variables
        gradients.append(as_arrays(each.gradients(lambda: (ops.mean(each(*real())[0]), None), variables)[0]))  # noqa: B023
    for ours, theirs in zip(*gradients):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.slow
def test_a_few_steps_raise_the_score_of_what_is_drawn():
    label = ops.convert_to_tensor(toy_data(16)[1])
    model = new_model(DraftTuning, learning_rate=3e-3, reward_weight=10.0, reward_steps=3, ema_decay=0.9)
    model.network.set_weights(model.ema_network.get_weights())
    drawn = Generator(model.ema_network, DIFFUSION, sampler=samplers.ddim, steps=3, guidance=guidance.unguided)

    def score():
        images = drawn.sample(np.asarray(label), 1.0, np.arange(16))["image"]
        return float(np.mean(brightness(images, {"label": label})))

    before = score()
    model.fit(batches(), epochs=8, verbose=0)
    assert score() > before + 0.05


def test_low_scores_weigh_more_and_all_weights_together_as_much_as_before():
    model, (_, label) = new_model(ScoreWeightedTuning), real()
    levels = np.linspace(-1, 1, 16, dtype="float32")
    x_0 = ops.convert_to_tensor(np.broadcast_to(levels[:, None, None, None], (16, 8, 8, 1)))
    eps = np.random.default_rng(0).standard_normal((16, 8, 8, 1)).astype("float32")
    same = {"label": ops.zeros_like(label)}
    model.ema_network.call = lambda x_t, t, condition, training=None: DIFFUSION.target(x_0, eps, t)  # knows x_0
    weights = np.asarray(model.weights_of(x_0, same, eps))
    shares = np.exp((levels - 1) / 2)
    np.testing.assert_allclose(weights, (1 - shares) / (1 - shares).mean(), atol=1e-3)
    assert weights.mean() == pytest.approx(1, abs=1e-5) and np.all(np.diff(weights) < 0)


def test_the_weighted_loss_is_that_of_diffusion_with_weights_that_have_no_gradient():
    model, plain = new_model(ScoreWeightedTuning, p_uncond=0.0), diffusion_model(p_uncond=0.0)
    plain.network.set_weights(model.network.get_weights())
    x_0, label = real()
    for each in (model, plain):
        each.seeds.state.assign(ops.convert_to_tensor(np.array([3, 4], "uint32")))
    expected, _ = plain(x_0, label)
    eps = keras.random.normal((16, 8, 8, 1), seed=plain.seeds)
    weights = model.weights_of(x_0, {"label": label}, eps)
    np.testing.assert_allclose(model(x_0, label)[0], np.asarray(weights) * np.asarray(expected), rtol=1e-3)
    assert np.std(weights) > 1e-3
    found = model.gradients(
        lambda: (ops.sum(model.weights_of(x_0, {"label": label}, eps)), None), model.trainable_variables
    )[0]
    assert all(gradient is None or not np.any(as_arrays([gradient])[0]) for gradient in found)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"reward_weight": np.nan}, "`reward_weight` must be finite and at least 0. Received: nan"),
        ({"reward_weight": np.inf}, "`reward_weight` must be finite and at least 0. Received: inf"),
        ({"reward_weight": -1.0}, "`reward_weight` must be finite and at least 0. Received: -1.0"),
        ({"reward_steps": 0}, r"`reward_steps` must be in 1\.\.100. Received: 0"),
        ({"reward_steps": 101}, r"`reward_steps` must be in 1\.\.100. Received: 101"),
    ],
)
def test_what_cannot_be_rewarded_with_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        new_model(DraftTuning, **settings)


@pytest.mark.parametrize("objective", KINDS)
def test_data_that_clip_does_not_know_and_a_run_without_a_model_are_refused_before_any_work(objective, tmp_path):
    random = np.random.default_rng(0)
    small = {"network": NetworkConfig(widths=(8,), depths=(1,), attention=(False,), embed_dim=16, groups=4)}
    settings = Config(**small, training=TrainingConfig(objective=objective, precision="float32", grid_every=0))
    data = random.integers(0, 256, (40, 8, 8, 1)).astype("uint8"), np.arange(40, dtype="int32") % 3
    with pytest.raises(ValueError, match=f"`objective` '{objective}' tunes a trained model: `init` must name one"):
        keras_ddpm.train(settings, tmp_path / "run", data=data)
    with pytest.raises(ValueError, match=rf"`objective` '{objective}' asks CLIP, which knows digits of 28 x 28 pixels"):
        make_model(new_network(), DIFFUSION, settings, steps=9)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS.values())
@pytest.mark.slow
def test_an_interrupted_run_equals_an_uninterrupted_one(kind, tmp_path):
    assert_resumes(*(new_model(kind, steps=8) for _ in range(3)), tmp_path, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("objective", KINDS)
def test_a_configuration_names_the_objective_and_clip_is_asked(objective):
    """One train step with CLIP on either backend; its weights are no part of the model."""
    training = TrainingConfig(objective=objective, reward_weight=0.5, reward_steps=2, precision="mixed_bfloat16")
    network = NetworkConfig(widths=(8,), depths=(1,), attention=(False,), patch=4, embed_dim=16, groups=4)
    settings = Config(network=network, training=training, sampling=SamplingConfig(sampler="ddim", eta=0.5))
    built = build_network(settings, (28, 28, 1), 10, dtype="mixed_bfloat16")
    model = make_model(built, DIFFUSION, settings, steps=9)
    assert type(model) is KINDS[objective] and isinstance(model.score, guides.ClipGuide)
    twin = type(model).from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    assert len(model.variables) == len(network_variables(model)) + 1  # and the state of its seeds
    if objective == "draft":
        assert (model.reward_weight, model.reward_steps, model.sampler.keywords) == (0.5, 2, {"eta": 0.5})
    before = [np.asarray(value) for value in model.network.trainable_variables]
    random = np.random.default_rng(0)
    x_0 = random.choice(np.array([-1, 1], "float32"), (10, 28, 28, 1))
    assert np.isfinite(model.fit(x_0, np.arange(10, dtype="int32"), batch_size=10, verbose=0).history["loss"][0])
    assert any(np.any(old != np.asarray(new)) for old, new in zip(before, model.network.trainable_variables))


def network_variables(model):
    return [*model.network.variables, *model.ema_network.variables]


@pytest.mark.slow
def test_a_recipe_may_end_in_either(tmp_path):
    random = np.random.default_rng(0)
    images = random.choice(np.array([0, 255], "uint8"), (40, 28, 28, 1)), np.arange(40, dtype="int32") % 10
    first = stages()[0]
    tuned = [
        dataclasses.replace(first, name=name, training=dataclasses.replace(first.training, objective=name))
        for name in KINDS
    ]
    keras_ddpm.train([first, *tuned], tmp_path / "run", data=images)
    assert keras_ddpm.sample(7, seed=1, steps=3, preset=tmp_path / "run").shape == (28, 28)
