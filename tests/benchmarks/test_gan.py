"""The benchmark's GAN: it is called like a network, learns what it is told, and its training resumes."""

import csv

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
SMALL = replace_section(SMALL, "training", grid_every=0, jit="off", warmup_steps=0, learning_rate=1e-2)
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


@pytest.mark.usefixtures("mnist")
def test_a_stopped_training_goes_on(network, tmp_path):
    before = [weight.copy() for weight in network.get_weights()]
    gan.train(network, DIFFUSION, replace_section(SMALL, "training", epochs=1), tmp_path, resume=False)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(before, network.get_weights()))
    gan.train(network, DIFFUSION, replace_section(SMALL, "training", epochs=3), tmp_path, resume=True)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert (tmp_path / presets.WEIGHTS).exists()
