"""The four formats: how a shard's file is called, and who writes and reads it."""

from collections.abc import Callable
from typing import NamedTuple

from keras_ddpm.shards import npz, parquet, tfrecord, zipped


class Format(NamedTuple):
    """A template of names with `place`, such as "00007-of-00100"; `write` and `read` as in `tfrecord`."""

    template: str
    write: Callable
    read: Callable


FORMATS = {
    "tfrecord": Format("digits-train.tfrecord-{place}", tfrecord.write, tfrecord.read),  # TFDS's own pattern
    "parquet": Format("train-{place}.parquet", parquet.write, parquet.read),
    "png": Format("train-{place}.zip", zipped.write, zipped.read),
    "npz": Format("train-{place}.npz", npz.write, npz.read),
}
