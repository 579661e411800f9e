"""The benchmark's GAN: it is called like a network, and its training resumes."""

import csv
import sys

import keras
import numpy as np
import pytest
from conftest import randomise, replace_section

from benchmarks.training import gan
from configs import mnist_fast
from keras_ddpm import presets
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator

SMALL = mnist_fast.get_config()[-1]
SMALL = replace_section(SMALL, "data", train_images=256, validation_images=128)
SMALL = replace_section(SMALL, "few_step", levels=())
SMALL = replace_section(SMALL, "training", grid_every=0, epochs=2, jit="off", warmup_steps=0, learning_rate=1e-2)
DIFFUSION = Diffusion.from_names(**vars(SMALL.diffusion))


@pytest.fixture(scope="module")
def network():
    network = gan.ConvolutionalGenerator(width=8)
    network.build()
    randomise(network, scale=0.1)
    return network


def test_a_picture_depends_on_its_own_label_and_seed_only(network):
    generator = Generator.from_names(network, DIFFUSION, SMALL.sampling)
    images = gan.draw(generator, np.array([3, 3, 7]), 40)
    assert images.dtype == "uint8" and images.shape == (3, 28, 28, 1)
    alone = gan.draw(generator, np.array([3]), 41)
    assert np.abs(images[1].astype(int) - alone[0]).max() <= 1
    assert not np.array_equal(images[0], images[1])  # another seed
    assert not np.array_equal(gan.draw(generator, np.array([3]), 42)[0], images[2])  # another label


def test_its_configuration_makes_it_again(network):
    again = gan.ConvolutionalGenerator.from_config(network.get_config())
    again.build()
    again.set_weights(network.get_weights())
    given = keras.ops.ones((1, 28, 28, 1)), keras.ops.ones((1,)), {"label": np.array([4])}
    np.testing.assert_allclose(network(*given), again(*given), atol=1e-6)


def trained(folder):
    keras.utils.set_random_seed(1)
    network = gan.ConvolutionalGenerator(width=8)
    network.build()
    folder.mkdir(exist_ok=True)
    gan.train(network, DIFFUSION, SMALL, folder)
    return network


class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_a_killed_training_resumes_exactly(tmp_path, monkeypatch):
    expected = trained(tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(gan, "progress", lambda: (0, [Killed()]))
        trained(tmp_path / "killed")
    network = trained(tmp_path / "killed")
    for ours, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    rows = list(csv.DictReader((tmp_path / "killed" / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1"] and (tmp_path / "killed" / presets.WEIGHTS).exists()


def test_a_run_is_not_trained_over(tmp_path, monkeypatch):
    monkeypatch.setattr(gan, "epochs_done", lambda folder: 3)
    monkeypatch.setattr(sys, "argv", ["gan", "--out", str(tmp_path)])
    with pytest.raises(ValueError, match="--resume continues it"):
        gan.main()
