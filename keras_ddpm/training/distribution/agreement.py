"""What all processes of a training must have in common before it begins."""

import dataclasses
import hashlib
from typing import Any

import keras
import numpy as np

from keras_ddpm import presets
from keras_ddpm.config import Config
from keras_ddpm.saving import files


def terms(config: Config, source: Any, *, start: Any, codec: Any, resume: bool, devices: int) -> dict:
    """What a training depends on, for `Processes.agree`.

    Args:
        config: `Config`.
        source: `sources.Source`.
        start: File of the weights or the state to start from, or None.
        codec: File of the weights of the autoencoder in whose latents to diffuse, or None.
        resume: Whether a run is resumed.
        devices: Number of devices that share a batch.

    Returns:
        dict as JSON has it; data and files are there as the beginning of their SHA-256.
    """
    return {
        "configuration": dataclasses.asdict(config),
        "resume": resume,
        "devices": devices,
        "versions": presets.versions(),
        "batches": len(source.batches),
        "data": _digest(source.batches[0]),
        "held-out images": _digest((source.images, source.labels)),
        "start": _of_file(start),
        "codec": _of_file(codec),
    }


def _of_file(path):
    return None if path is None else files.sha256(path)[:16]


def _digest(arrays):
    digest = hashlib.sha256()
    for array in keras.tree.flatten(arrays):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]
