"""Data in, images out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_ddpm import data
from keras_ddpm.data.augmentation import distort


@given(st.integers(0, 255))
def test_uint8_survives_the_way_there_and_back(value):
    image = np.full((1, 2, 2, 1), value, "uint8")
    as_float = data.to_float(image)
    assert as_float.dtype == np.float32 and as_float.min() >= -1 and as_float.max() <= 1
    np.testing.assert_array_equal(data.to_uint8(as_float), image)


def test_values_outside_the_range_are_clipped():
    np.testing.assert_array_equal(data.to_uint8(np.array([-5.0, -1.0, 0.0, 1.0, 7.0])), [0, 0, 128, 255, 255])


@pytest.fixture
def npz(tmp_path):
    random = np.random.default_rng(0)
    arrays = {f"x_{s}": random.integers(0, 256, (n, 6, 5)).astype("uint8") for s, n in (("train", 20), ("test", 8))}
    arrays |= {f"y_{s}": (np.arange(n) % 4).astype("uint8") for s, n in (("train", 20), ("test", 8))}
    np.savez(tmp_path / "toy.npz", **arrays)
    return tmp_path / "toy.npz", arrays


def test_an_npz_is_loaded(npz):
    path, arrays = npz
    test = data.load(path, "test")
    np.testing.assert_array_equal(test.images[..., 0], arrays["x_test"])
    assert test.labels.dtype == np.int32 and test.num_classes == 4 and test.image_shape == (6, 5, 1)
    assert len(test.first(3).images) == 3 and len(test.first(0).images) == 8


def test_tfds_and_npz_agree_on_what_mnist_is(mnist):
    images, labels = mnist["train"]
    assert images.shape == (60_000, 28, 28, 1) and images.dtype == np.uint8
    assert np.bincount(labels).min() > 5_000 and len(np.unique(labels)) == 10
    assert mnist["test"][0].shape == (10_000, 28, 28, 1)


@pytest.mark.parametrize(
    "name, shape",
    [("mnist", (28, 28, 1)), ("fashion_mnist", (28, 28, 1)), ("kmnist", (28, 28, 1)), ("cifar10", (32, 32, 3))],
)
def test_tfds_names_build_networks_of_the_right_shape(name, shape):
    from keras_ddpm.config import Config, NetworkConfig
    from keras_ddpm.networks.build import build_network

    _, image_shape, num_classes = data.describe(name)
    small = Config(network=NetworkConfig(widths=(8,), depths=(1,), attention=(False,), embed_dim=8))
    network = build_network(small, image_shape, num_classes)
    assert image_shape == shape and num_classes == 10
    x_t, condition = np.zeros((1, *shape), "float32"), {"label": np.zeros(1, "int32")}
    assert network(x_t, np.ones(1, "float32"), condition).shape == (1, *shape)


def test_without_data_the_error_gives_both_remedies(tmp_path, monkeypatch):
    class Offline:
        class info:  # noqa: N801
            features = data.describe("mnist")[0].info.features

        url_infos = ("http://127.0.0.1:9/mnist.gz",)  # nothing listens there

        def is_prepared(self):
            return False

    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", lambda name: Offline())
    for dataset in ("mnist", str(tmp_path / "nothing.npz")):
        with pytest.raises(FileNotFoundError, match=r"(?s)TFDS_DATA_DIR.*--dataset path/to/mnist\.npz"):
            data.load(dataset)


def test_what_is_no_image_data_set_is_named(tmp_path, npz):
    path, arrays = npz
    with pytest.raises(ValueError, match="knows no data set 'mnits'"):
        data.load("mnits")
    with pytest.raises(ValueError, match="'train' or 'test'"):
        data.load(path, "validation")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        data.load(path)
    np.savez(tmp_path / "float.npz", **{**arrays, "x_train": arrays["x_train"] / 255.0})
    with pytest.raises(ValueError, match="uint8 images"):
        data.load(tmp_path / "float.npz")


@pytest.mark.parametrize(
    "labels", [np.full(8, 4), np.full(8, -1), np.full(8, 0.5)], ids=["unknown", "negative", "float"]
)
def test_labels_are_classes_of_the_training_images(npz, labels):
    path, arrays = npz
    np.savez(path, **{**arrays, "y_test": labels})  # the training images know 0 ... 3
    assert len(data.load(path, "train").images) == 20
    with pytest.raises(ValueError, match=r"integers in 0\.\.3. Not all of .*'test'"):
        data.load(path, "test")


def test_batches_depend_on_seed_and_epoch_alone(npz):
    train = data.load(str(npz[0]), "train")

    def labels(batches):
        return [label.tolist() for _, label in (batches[i] for i in range(len(batches)))]

    first = data.Batches(train.images, train.labels, batch_size=8, seed=3)
    assert len(first) == 2
    zeroth = labels(first)
    first.on_epoch_end()
    assert labels(first) != zeroth
    assert labels(first) == labels(data.Batches(train.images, train.labels, batch_size=8, seed=3, epoch=1))
    x_0, _ = first[0]
    assert x_0.dtype == np.float32 and x_0.shape == (8, 6, 5, 1)


def test_augmented_batches_are_repeated_by_a_resumed_run_and_differ_between_epochs(npz):
    train = data.load(str(npz[0]), "train")

    def batch(epoch):
        return data.Batches(*train[:2], batch_size=4, seed=1, epoch=epoch, augment=distort)[1]

    np.testing.assert_array_equal(batch(2)[0], batch(2)[0])
    plain = data.Batches(*train[:2], batch_size=4, seed=1, epoch=2)[1]
    np.testing.assert_array_equal(batch(2)[1], plain[1])
    assert not np.array_equal(batch(2)[0], plain[0]) and np.abs(batch(2)[0]).max() <= 1


@pytest.mark.parametrize("batch_size", [0, 21])
def test_a_bad_batch_size_is_named(npz, batch_size):
    train = data.load(str(npz[0]), "train")
    with pytest.raises(ValueError, match=r"`batch_size` must be in 1\.\.20"):
        data.Batches(train.images, train.labels, batch_size=batch_size)
