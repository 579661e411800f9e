"""`keras_ddpm.train`: three lines in a notebook, on whatever the user has; nothing is chosen on test images."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_ddpm
from keras_ddpm import config, data
from keras_ddpm.data import sources

TINY = config.Config(
    name="tiny",
    data=config.DataConfig(validation_images=16),
    network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(True,), patch=1, embed_dim=16, groups=4),
    diffusion=config.DiffusionConfig(T=50),
    training=config.TrainingConfig(epochs=2, batch_size=16, warmup_steps=0, precision="float32", grid_every=0),
    sampling=config.SamplingConfig(sampler="ddpm", steps=3, guidance_interval=None),
)


def toy(n=80):
    """Dark and bright squares of three classes."""
    random = np.random.default_rng(0)
    labels = np.arange(n, dtype="int32") % 3
    images = random.integers(0, 256, (n, 8, 8, 1)).astype("uint8")
    images[labels == 0, :4], images[labels == 1, 4:], images[labels == 2, :, :4] = 0, 255, 128
    return images, labels


def with_epochs(epochs):
    return dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, epochs=epochs))


def as_floats(images):
    return images.astype("float32") / 127.5 - 1.0


def py_dataset(images, labels):
    return data.Batches(images, labels, batch_size=16)


def tf_dataset(images, labels):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((as_floats(images), labels)).batch(16)


@pytest.mark.parametrize(
    "given",
    [
        lambda images, labels: {"data": (images, labels)},
        pytest.param(
            lambda images, labels: {"data": (as_floats(images), labels.astype("int64"))}, marks=pytest.mark.slow
        ),
        pytest.param(
            lambda images, labels: {
                "data": py_dataset(images, labels),
                "validation": (images, labels),
                "num_classes": 3,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda images, labels: {
                "data": tf_dataset(images, labels),
                "validation": (images, labels),
                "num_classes": 3,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["uint8 arrays", "float arrays", "PyDataset", "tf.data.Dataset"],
)
def test_a_run_trained_on_anything_is_a_preset_and_its_generator_is_returned(given, tmp_path):
    generator = keras_ddpm.train(TINY, tmp_path / "run", **given(*toy()))
    image = data.to_uint8(generator.sample([2], 1.0, [5])["image"])
    again = keras_ddpm.sample([2], 1.0, seed=5, preset=tmp_path / "run")
    np.testing.assert_array_equal(image[..., 0], again)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert len(rows) == 2 and float(rows[1]["val_loss"]) > 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["num_classes"] == 3


def test_validation_is_held_out_of_the_training_split_and_test_images_are_never_loaded(tmp_path, monkeypatch):
    images, labels = toy()
    images[:, 0, 0, 0] = np.arange(80)  # a mark on each image
    path = tmp_path / "toy.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:1], y_test=labels[:1])
    asked = []
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda name, split, **rest: asked.append(split) or load(name, split, **rest))
    settings = config.Config(data=config.DataConfig(dataset=str(path), validation_images=30), training=TINY.training)
    source = sources.open_source(settings)
    held_out = set(np.round((source.images[:, 0, 0, 0] + 1) * 127.5).astype(int))
    assert asked == ["train"] and held_out == set(range(50, 80))
    assert set(source.batches.images[:, 0, 0, 0]) == set(range(50))


@pytest.mark.slow
def test_a_run_is_resumed_and_a_finished_one_is_left_alone(tmp_path):
    given = {"data": toy()}
    keras_ddpm.train(TINY, tmp_path, **given)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    for epochs in (1, 2):
        shorter = with_epochs(epochs)
        with pytest.raises(ValueError, match=rf"has 2 epochs: `epochs` must be more\. Received: {epochs}"):
            keras_ddpm.train(shorter, tmp_path, resume=True, **given)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    keras_ddpm.train(with_epochs(3), tmp_path, resume=True, **given)
    assert [row["epoch"] for row in csv.DictReader((tmp_path / "log.csv").open())] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "given, message",
    [
        (lambda x, y: {"data": (x, y[:-1])}, "must be images .* and one integer label each"),
        (lambda x, y: {"data": (x, y / 1.0)}, "must be images .* and one integer label each"),
        (lambda x, y: {"data": (x[:10], y[:10])}, r"`validation_images` must be in 1\.\.9"),
        (
            lambda x, y: {"data": ((as_floats(x) + 1) / 2, y)},
            r"or float in \[-1, 1\] with -1 black\. Received: float32 fr",
        ),
        (lambda x, y: {"data": (x.astype("int32"), y)}, "Images must be uint8, or float"),
        (lambda x, y: {"data": (x, y), "validation": (x[:, :4], y)}, r"Validation images must be \(8, 8, 1\)"),
        (lambda x, y: {"data": tf_dataset(x, y)}, "needs `validation`.*and `num_classes`"),
        (
            lambda x, y: {"data": tf_dataset(x, y).repeat(), "validation": (x, y), "num_classes": 3},
            "must be of known length",
        ),
        (lambda x, y: {"data": (x, y), "num_classes": 2}, r"`label` must be in 0\.\.1, an integer. Received: 2"),
    ],
)
def test_data_that_cannot_be_trained_on_is_named_and_leaves_nothing(given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        keras_ddpm.train(TINY, tmp_path / "run", **given(*toy()))
    assert not (tmp_path / "run" / "log.csv").exists()


def test_a_callback_of_your_own_may_stop_a_training_whose_epoch_is_written(tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.written = len((tmp_path / "log.csv").read_text().splitlines()) - 1
            self.model.stop_training = True

    enough = Enough()
    keras_ddpm.train(TINY, tmp_path, data=toy(), callbacks=[enough])
    assert enough.written == 1 and len(list(csv.reader((tmp_path / "log.csv").open()))) == 2


@pytest.mark.parametrize(
    "section, values, message",
    [
        (config.TrainingConfig, {"epochs": 0}, "`epochs` must be at least 1. Received: 0"),
        (config.TrainingConfig, {"batch_size": 0}, "`batch_size` must be at least 1"),
        (config.TrainingConfig, {"learning_rate": float("nan")}, "`learning_rate` must be finite and at least 0"),
        (config.TrainingConfig, {"learning_rate": -1.0}, "`learning_rate` must be finite and at least 0"),
        (config.SamplingConfig, {"w": float("nan")}, "`w` must be finite"),
        (config.SamplingConfig, {"w": (1.0, float("inf"))}, "`w` must be finite"),
    ],
)
def test_a_configuration_out_of_range_is_named(section, values, message):
    with pytest.raises(ValueError, match=message):
        section(**values)
