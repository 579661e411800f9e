"""Trainings of studies: what is left is done, once, and a run of another configuration is not taken."""

import shutil

import numpy as np
import pytest

from keras_ddpm import presets
from keras_ddpm.config import Config, TrainingConfig
from keras_ddpm.saving.files import write_text
from studies import architecture, arms, few_images, latent, study, training_ideas, trainings

FEW = np.zeros((10, 28, 28, 1), "uint8"), np.arange(10)
STUDIES = {
    "cosine": lambda options: arms.train("cosine", options),
    "some": lambda options: few_images.train("some", *FEW, options, epochs=2),
    "mnist_pixel_seed0": lambda options: latent.train(latent.configuration("mnist", "pixel", 0, options), options),
    "mnist_autoencoder": lambda options: latent.train(latent.autoencoder("mnist", options), options),
    "ideas_plain_seed0": lambda options: training_ideas.train("plain", 0, options),
    "ideas_perceptual_seed0/stage_0": lambda options: training_ideas.train("perceptual", 0, options),
    "architecture_deeper_seed0": lambda options: architecture.train("deeper", 0, options),
}
"""Folder of a run -> what trains it."""


def leave(folder, config, epochs):
    """A run of a configuration, as it lies there after some epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    presets.write_config(folder, config, (28, 28, 1), 10)
    (folder / "state.weights.h5").touch()
    write_text(folder / "log.csv", "epoch,val_loss\n" + "".join(f"{i},{1 - i / 100}\n" for i in range(epochs)))


@pytest.fixture
def called(monkeypatch):
    """What `keras_ddpm.train` is called with."""
    calls = []
    monkeypatch.setattr(trainings.keras_ddpm, "train", lambda config, out, **given: calls.append((config, out, given)))
    return calls


@pytest.mark.parametrize("name", STUDIES)
def test_a_run_of_another_configuration_is_not_taken(name, tmp_path, small_preset):
    folder = shutil.copytree(small_preset, tmp_path / name)
    (folder / "state.weights.h5").touch()
    with pytest.raises(ValueError, match=f"{name} holds a run of another configuration"):
        STUDIES[name](study.Options(runs=tmp_path))


@pytest.mark.parametrize("name", STUDIES)
def test_what_may_not_be_trained_is_left_out(name, tmp_path, called):
    assert STUDIES[name](study.Options(runs=tmp_path, train=False)) is None
    assert not called and not list(tmp_path.iterdir())


def test_a_finished_run_is_kept_and_a_started_one_goes_on(tmp_path, called):
    config, options = Config(training=TrainingConfig(epochs=3)), study.Options()
    leave(tmp_path / "run", config, 2)
    assert trainings.train(config, tmp_path / "run", options, num_classes=10) == tmp_path / "run"
    assert called == [(config, tmp_path / "run", {"resume": True, "num_classes": 10})]
    leave(tmp_path / "run", config, 3)
    assert trainings.train(config, tmp_path / "run", study.Options(train=False)) == tmp_path / "run"
    assert len(called) == 1


def test_a_recipe_that_stopped_in_its_first_stage_goes_on(tmp_path, called):
    options = study.Options(runs=tmp_path)
    stages = training_ideas.stages("perceptual", 1, options)
    leave(tmp_path / "ideas_perceptual_seed1/stage_0", stages[0], stages[0].training.epochs)
    folder = training_ideas.train("perceptual", 1, options)
    assert called == [(stages, folder, {"resume": True})]


def test_a_model_of_latents_is_known_again_by_what_its_training_writes(tmp_path, called):
    """The training puts the sizes of the codec into the configuration that it was asked for."""
    options = study.Options(runs=tmp_path)
    settings = latent.configuration("mnist", "latent", 0, options)
    assert settings.autoencoder == latent.autoencoder("mnist", options).autoencoder
    leave(tmp_path / settings.name, settings, settings.training.epochs)
    assert latent.train(settings, options) == tmp_path / settings.name and not called


@pytest.mark.parametrize(
    "losses, expected",
    [([], False), ([3, 2], False), ([3, 2, 1], True), ([1, 2], False), ([1, 2, 2], True)],
    ids=["none", "going on", "all epochs", "patient", "out of patience"],
)
def test_a_training_has_ended_after_its_epochs_or_its_patience(losses, expected):
    training = TrainingConfig(epochs=3 if losses == [3, 2, 1] else 9, stop_patience=2)
    assert trainings.ended([{"val_loss": loss} for loss in losses], training) is expected
