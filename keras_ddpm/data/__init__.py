"""Data sets in, uint8 <-> [-1, 1], batches and augmentation."""

from keras_ddpm.data.batches import Batches
from keras_ddpm.data.datasets import Dataset, describe, load
from keras_ddpm.data.pixels import to_float, to_uint8

__all__ = ["Batches", "Dataset", "describe", "load", "to_float", "to_uint8"]
