"""The four formats: what is written is read again, by us and by those they are made for, and always the same bytes."""

import zipfile

import numpy as np
import pytest

from keras_ddpm.evaluation.arrays import read_images
from keras_ddpm.shards import tfrecord
from keras_ddpm.shards.batch import Batch, from_png, to_pngs
from keras_ddpm.shards.formats import FORMATS

SHAPE = {"image_shape": (28, 28, 1), "num_classes": 10}


def some_batches(*sizes, seed=0):
    rng, start = np.random.default_rng(seed), 0
    for n in sizes:
        seeds = np.arange(start, start + n) + 2**40
        yield Batch(rng.integers(0, 256, (n, 28, 28, 1), dtype="uint8"), rng.integers(0, 10, n), seeds)
        start += n


def joined(batches):
    return [np.concatenate(arrays) for arrays in zip(*batches)]


@pytest.mark.parametrize("C", [1, 3])
def test_a_png_is_read_by_pillow_and_by_tensorflow(C):
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (5, 9, 14, C), dtype="uint8")
    for image, png in zip(images, to_pngs(images)):
        np.testing.assert_array_equal(from_png(png), image)
        np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), image)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_again(name, tmp_path):
    FORMATS[name].write(tmp_path / "shard", some_batches(3, 1100, 7), **SHAPE)
    read = list(FORMATS[name].read(tmp_path / "shard", **SHAPE))
    assert len(read) > 1 and max(len(batch.labels) for batch in read) <= 1000
    for found, expected in zip(joined(read), joined(some_batches(3, 1100, 7))):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("name", FORMATS)
def test_no_images_are_a_file_too(name, tmp_path):
    FORMATS[name].write(tmp_path / "shard", some_batches(0), **SHAPE)
    assert sum(len(batch.labels) for batch in FORMATS[name].read(tmp_path / "shard", **SHAPE)) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_images_are_the_same_bytes_on_another_day(name, tmp_path, monkeypatch):
    FORMATS[name].write(tmp_path / "today", some_batches(20, 9), **SHAPE)
    monkeypatch.setattr("time.time", lambda: 2e9)
    FORMATS[name].write(tmp_path / "later", some_batches(20, 9), **SHAPE)
    assert (tmp_path / "today").read_bytes() == (tmp_path / "later").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_writer_takes_one_batch_at_a_time(name, tmp_path):
    alive = 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def batches():
        nonlocal alive
        for images, labels, seeds in some_batches(*[2] * 20):
            assert alive <= 1
            alive += 1
            counted = np.ndarray.__new__(Counted, images.shape, "uint8")
            counted[...] = images
            yield Batch(np.asarray(counted), labels, seeds)
            del counted

    FORMATS[name].write(tmp_path / "shard", batches(), **SHAPE)


def test_tensorflow_datasets_builds_from_the_directory(tmp_path):
    import tensorflow_datasets as tfds

    lengths = (4, 0, 3)
    for i, n in enumerate(lengths):
        name = FORMATS["tfrecord"].template.format(place=f"{i:05d}-of-00003")
        FORMATS["tfrecord"].write(tmp_path / name, some_batches(n, seed=i), **SHAPE)
    tfrecord.write_info(tmp_path, lengths=lengths, num_bytes=99, description="", **SHAPE)
    builder = tfds.builder_from_directory(tmp_path)
    assert builder.info.splits["train"].num_examples == 7 and builder.info.features["label"].num_classes == 10
    pairs = builder.as_dataset(split="train", as_supervised=True, shuffle_files=False).as_numpy_iterator()
    images, labels = zip(*pairs)
    expected = joined([*some_batches(4, seed=0), *some_batches(3, seed=2)])
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


def test_datasets_and_pandas_read_parquet(tmp_path):
    import datasets
    import pandas as pd

    path = tmp_path / "train-00000-of-00001.parquet"
    FORMATS["parquet"].write(path, some_batches(5, 4), **SHAPE)
    images, labels, seeds = joined(some_batches(5, 4))
    table = pd.read_parquet(path)
    assert table["label"].tolist() == labels.tolist() and table["seed"].tolist() == seeds.tolist()
    found = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].num_classes == 10 and found["label"] == labels.tolist()
    np.testing.assert_array_equal([np.asarray(image) for image in found["image"]], images[..., 0])


def test_an_unpacked_zip_is_a_directory_of_classes(tmp_path):
    import keras

    FORMATS["png"].write(tmp_path / "shard.zip", some_batches(40), **SHAPE)
    with zipfile.ZipFile(tmp_path / "shard.zip") as file:
        assert all(info.external_attr >> 16 == 0o644 for info in file.infolist())
        file.extractall(tmp_path / "classes")
    found = keras.utils.image_dataset_from_directory(
        tmp_path / "classes", color_mode="grayscale", image_size=(28, 28), batch_size=None, shuffle=False, verbose=False
    )
    images, labels = zip(*found.as_numpy_iterator())
    expected = joined(some_batches(40))
    order = np.lexsort([[str(seed) for seed in expected[2]], expected[1]])
    np.testing.assert_array_equal(np.array(images, "uint8"), expected[0][order])
    np.testing.assert_array_equal(labels, expected[1][order])


def test_an_npz_is_what_sample_writes_and_evaluation_reads(tmp_path):
    FORMATS["npz"].write(tmp_path / "digits.npz", some_batches(5, 4), **SHAPE)
    images, labels = read_images(tmp_path / "digits.npz")
    expected = joined(some_batches(5, 4))
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])
