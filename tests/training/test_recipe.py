"""Laws of a recipe: one command, stages that start from each other's weights, exact resumption; and its student."""

import dataclasses

import numpy as np
import pytest
from conftest import replace_section

import keras_ddpm
from keras_ddpm import config, presets
from keras_ddpm.networks.build import build_network
from keras_ddpm.saving.weights import write_weights
from keras_ddpm.training import callbacks

STUDENT = config.SamplingConfig(
    sampler="consistency", steps=1, w=1.0, guidance="none", guidance_interval=None, trained_steps=(1, 2, 4)
)


def stages(*, last=2):
    training = config.TrainingConfig(
        epochs=1, batch_size=16, learning_rate_schedule="constant", precision="float32", grid_every=0, ema_decay=0.9
    )
    first = config.Config(
        name="diffusion",
        data=config.DataConfig(validation_images=8),
        network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(False,), embed_dim=16, groups=4),
        diffusion=config.DiffusionConfig(T=50),
        training=training,
    )
    student = dataclasses.replace(first, sampling=STUDENT)
    tuned = replace_section(student, "training", objective="consistency")
    final = replace_section(student, "training", objective="adversarial", epochs=last)
    return first, dataclasses.replace(tuned, name="consistency"), dataclasses.replace(final, name="student")


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return random.choice(np.array([0, 255], "uint8"), (40, 28, 28, 1)), np.arange(40, dtype="int32") % 10


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipe") / "run"
    keras_ddpm.train(stages(), out, data=images)
    return out


@pytest.mark.slow
def test_each_stage_is_a_run_and_the_last_one_is_the_preset(run):
    for folder, name in ((run, "student"), (run / "consistency", "consistency"), (run / "diffusion", "diffusion")):
        settings, image_shape, num_classes = presets.read_config(folder)
        assert (settings.name, image_shape, num_classes) == (name, (28, 28, 1), 10)
    assert config.recipe_from_json((run / "recipe.json").read_text()) == stages()
    names = (run / "log.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "loss_discriminator", "margin", "penalty", "val_loss", "val_margin"} <= set(names)
    assert keras_ddpm.sample(7, preset=run).shape == (28, 28)


@pytest.mark.slow
def test_a_recipe_that_was_killed_between_any_two_epochs_equals_an_unbroken_one(run, images, tmp_path):
    keras_ddpm.train(stages()[0], tmp_path / "diffusion", data=images)  # killed in the second stage
    keras_ddpm.train(stages(last=1), tmp_path, data=images, resume=True)  # killed after the last one's first epoch
    keras_ddpm.train(stages(), tmp_path, data=images, resume=True)
    ours, theirs = (presets.load_network(folder).get_weights() for folder in (tmp_path, run))
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_finished_recipe_that_is_resumed_stays_as_it_is(run, images):
    before = (run / callbacks.STATE).read_bytes()
    with pytest.raises(ValueError, match="has 2 epochs: `epochs` must be more"):
        keras_ddpm.train(stages(), run, data=images, resume=True)
    assert (run / callbacks.STATE).read_bytes() == before


@pytest.mark.slow
def test_a_stage_starts_from_the_weights_that_init_names(run, images, tmp_path):
    still = replace_section(stages()[1], "training", init=str(run), learning_rate=0.0, warmup_steps=0, weight_decay=0.0)
    keras_ddpm.train(still, tmp_path, data=images)
    for one, other in zip(*(presets.load_network(folder).get_weights() for folder in (tmp_path, run))):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda first, second, last: (second,), "'consistency' tunes a trained model: `init` must name one"),
        (lambda first, second, last: (), "at least one"),
        (lambda first, second, last: (first, first), "of different names"),
        (lambda first, second, last: (first, 3), "must be `Config`s"),
        (
            lambda first, second, last: (first, replace_section(second, "network", depths=(2,))),
            "one `network` and one `diffusion`",
        ),
    ],
)
def test_a_recipe_that_cannot_follow_itself_is_refused(change, message, images, tmp_path):
    with pytest.raises(ValueError, match=message):
        keras_ddpm.train(change(*stages()), tmp_path / "run", data=images)
    assert not (tmp_path / "run" / callbacks.STATE).exists()


def test_weights_of_another_network_are_no_start(images, tmp_path, small_preset):
    other = replace_section(stages()[1], "training", init=str(small_preset))
    with pytest.raises(ValueError, match="do not fit this network"):
        keras_ddpm.train(other, tmp_path, data=images)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    folder, (_, _, settings) = tmp_path_factory.mktemp("student"), stages()
    network = build_network(settings, (28, 28, 1), 10)
    presets.write_config(folder, settings, (28, 28, 1), 10)
    write_weights(network, folder / presets.WEIGHTS)
    return folder


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_student_takes_the_steps_it_was_trained_for(student, steps):
    image = keras_ddpm.sample(7, seed=3, steps=steps, preset=student)
    np.testing.assert_array_equal(keras_ddpm.sample([1, 7], seed=[0, 3], w=1, steps=steps, preset=student)[1], image)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps": 3}, r"`steps` must be one of \[1, 2, 4\], which this model was trained for. Received: 3"),
        ({"steps": 0}, r"`steps` must be one of \[1, 2, 4\]"),
        ({"sampler": "ddim"}, "`sampler` must be 'consistency' for this few-step model. Received: 'ddim'"),
        ({"w": 3}, "`w` must be 1, which is baked into this model, or None. Received: 3"),
        ({"w": [1.0, 1.5]}, "`w` must be 1, which is baked into this model"),
        ({"w": float("nan")}, "`w` must be"),
    ],
)
def test_what_a_student_was_not_trained_for_is_one_clear_error(student, arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ddpm.sample(7, preset=student, **arguments)
    with pytest.raises(ValueError, match=message):
        keras_ddpm.evaluate(student, n=100, **arguments)


def test_more_calls_of_a_student_are_new_noise_at_its_times(student):
    generator = presets.load_preset(student, steps=4)
    assert len(generator.times) == 4 and generator.times[0] == 1
    path = generator.path([7], 1.0, [5])
    alpha, sigma = generator.diffusion.schedule(generator.times[1:])
    for i in range(3):
        noise = (path["x_s"][0, i] - alpha[i] * path["x_0"][0, i]) / sigma[i]
        np.testing.assert_allclose(noise, np.asarray(generator.noise([[0, 5]], i + 1))[0], atol=1e-3)


@pytest.mark.parametrize(
    "preset", [pytest.param("mnist_fast", marks=pytest.mark.slow), "mnist_fast_v2", "mnist_fast_v3"]
)  # the first two have the same weights
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_shipped_student_draws_the_digit_asked_for(preset, steps):
    from keras_ddpm.evaluation.judges.classifier import load_classifier

    digits = np.arange(300, dtype="int32") % 10
    images = keras_ddpm.sample(digits, seed=np.arange(300), steps=steps, preset=preset)[..., None]
    assert np.mean(load_classifier()(images)[0].argmax(axis=1) == digits) >= 0.98
