"""Shards as TFRecord files, which TensorFlow Datasets reads with `tfds.builder_from_directory`.

A row is an image as PNG, a class label and the seed, as TFDS keeps such features. Its own writer makes features.json
and dataset_info.json, in which the shards' lengths stand.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_ddpm.shards.batch import ROWS, Batch, to_pngs

NAME, SPLIT = "digits", "train"


def write(path: str | os.PathLike, batches: Iterable[Batch], *, image_shape: tuple, num_classes: int) -> None:
    """Write batches as TFRecord.

    Args:
        path: File to write.
        batches: Any number of them.
        image_shape: (H, W, C).
        num_classes: Number of classes.
    """
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as file:
        for batch in batches:
            for png, label, seed in zip(to_pngs(batch.images), batch.labels.tolist(), batch.seeds.tolist()):
                row = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    "seed": tf.train.Feature(int64_list=tf.train.Int64List(value=[seed])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=row))
                file.write(example.SerializeToString(deterministic=True))  # else a map has no fixed order


def read(path: str | os.PathLike, *, image_shape: tuple, num_classes: int) -> Iterator[Batch]:
    """The images of a file that `write` wrote, in batches."""
    import tensorflow as tf

    rows = tf.data.TFRecordDataset(str(path)).map(features(image_shape, num_classes).deserialize_example)
    for row in rows.batch(ROWS).as_numpy_iterator():
        yield Batch(row["image"], row["label"], row["seed"])


def features(image_shape: tuple, num_classes: int) -> Any:
    """TFDS's description of a row."""
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=image_shape, encoding_format="png"),
            "label": tfds.features.ClassLabel(num_classes=num_classes),
            "seed": tfds.features.Scalar(np.int64),
        }
    )


def write_info(
    folder: pathlib.Path,
    *,
    lengths: Sequence[int],
    num_bytes: int,
    image_shape: tuple,
    num_classes: int,
    description: str,
) -> None:
    """Write dataset_info.json and features.json by TFDS.

    Args:
        folder: Existing folder to write into.
        lengths: Number of images of each shard.
        num_bytes: Of all shards.
        image_shape, num_classes: See `write`.
        description: For a reader.
    """
    import tensorflow_datasets as tfds

    identity = tfds.core.dataset_info.DatasetIdentity(
        name=NAME, version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name=""
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=features(image_shape, num_classes),
        description=description,
        supervised_keys=("image", "label"),
    )
    info.set_file_format(tfds.core.FileFormat.TFRECORD)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=NAME, split=SPLIT, filetype_suffix="tfrecord"
    )
    split = tfds.core.SplitInfo(
        name=SPLIT, shard_lengths=list(lengths), num_bytes=num_bytes, filename_template=template
    )
    info.set_splits(tfds.core.splits.SplitDict([split]))
    info.write_to_directory(folder)
