"""Attributes that a data set has itself: of an .npz file, and the 40 of celeb_a, whose images are made smaller."""

import dataclasses

import numpy as np
import pytest

import keras_ddpm
from keras_ddpm import config, data
from keras_ddpm.data import datasets, sources


@pytest.fixture
def npz(tmp_path):
    arrays = {}
    for split, n in (("train", 20), ("test", 8)):
        random = np.random.default_rng(n)
        arrays |= {f"x_{split}": random.integers(0, 256, (n, 6, 5), "uint8"), f"y_{split}": np.arange(n) % 4}
        arrays |= {f"smiles_{split}": random.integers(0, 2, n).astype(bool), f"age_{split}": random.uniform(size=n)}
    np.savez(tmp_path / "toy.npz", **arrays)
    return str(tmp_path / "toy.npz"), arrays


def test_attributes_of_an_npz_are_loaded_and_cut_like_the_images(npz):
    path, arrays = npz
    for name, part in zip(("rest", "held"), data.load(path, attributes=["age", "smiles"]).hold_out(5)):
        rows = slice(15) if name == "rest" else slice(15, 20)
        np.testing.assert_array_equal(part.labels["label"], arrays["y_train"][rows])
        np.testing.assert_array_equal(part.labels["smiles"], arrays["smiles_train"][rows].astype("float32"))
        np.testing.assert_allclose(part.labels["age"], arrays["age_train"][rows], rtol=1e-6)
        assert len(part.first(2).labels["age"]) == 2 and len(part.first(2).images) == 2
    assert data.load(path, "test").labels.tolist() == arrays["y_test"].tolist()


def test_an_attribute_that_is_not_there_is_named(npz):
    for dataset in (npz[0], "mnist"):
        with pytest.raises(ValueError, match=r"`attributes` must be measured ones, or of .*Received: \['thicknes'\]"):
            data.load(dataset, attributes=["thicknes"])
    np.savez(npz[0], **npz[1] | {"age_train": np.arange(20)})
    with pytest.raises(ValueError, match=r"`age` must be in 0\.\.1. Received: 2"):
        data.load(npz[0], attributes=["age"])


def test_the_middle_square_is_made_smaller_by_averaging():
    images = np.zeros((2, 8, 4, 3), "uint8")
    images[:, :2] = images[:, -2:] = 255  # above and below the middle square
    images[1, 2:4, :2] = [200, 100, 0]
    assert datasets.squared(images, 0) is images
    small = datasets.squared(images, 2)
    assert small.shape == (2, 2, 2, 3) and small.dtype == np.uint8 and not small[0].any()
    assert small[1, 0, 0, 0] > 100 > small[1, 1, 1, 0] and np.all(small[1, ..., 2] == 0)
    assert np.mean(datasets.squared(np.full((1, 9, 7, 1), 77, "uint8"), 3)) == 77


@pytest.fixture
def faces(monkeypatch):
    """A configuration like that of the documentation, and TFDS with images made up for celeb_a."""
    import tensorflow_datasets as tfds

    monkeypatch.setattr(datasets, "_check_network", lambda builder: None)
    small = config.Config(
        name="faces",
        data=config.DataConfig("celeb_a", validation_images=4, image_size=16, attributes=("Smiling", "Male")),
        network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(False,), embed_dim=16, groups=4),
        training=config.TrainingConfig(epochs=1, batch_size=8, precision="float32", grid_every=0),
        sampling=config.SamplingConfig(sampler="ddim", steps=5, guidance_interval=None),
    )
    with tfds.testing.mock_data(num_examples=20):
        yield small


def test_celeb_a_has_one_class_and_forty_attributes(faces):
    builder, shape, num_classes = data.describe("celeb_a")
    names = list(builder.info.features["attributes"].keys())
    assert shape == (218, 178, 3) and num_classes == 1 and len(names) == 40
    source = sources.open_source(dataclasses.replace(faces, data=dataclasses.replace(faces.data, attributes=(*names,))))
    x_0, given = source.batches[0]
    assert x_0.shape == (8, 16, 16, 3) and set(given) == {"label", *names} and not given["label"].any()
    assert source.image_shape == (16, 16, 3) and set(np.concatenate([*source.labels.values()])) == {0, 1}


@pytest.mark.slow
def test_faces_train_and_are_drawn_by_their_attributes(faces, tmp_path):
    keras_ddpm.train(faces, tmp_path / "faces")
    images = keras_ddpm.sample(0, seed=1, preset=tmp_path / "faces", Smiling=[0, 1], Male=1)
    assert images.shape == (2, 16, 16, 3) and images.dtype == np.uint8
    with pytest.raises(ValueError, match=r"`Smiling` must be in 0\.\.1. Received: True"):
        keras_ddpm.sample(0, preset=tmp_path / "faces", Smiling=True)
