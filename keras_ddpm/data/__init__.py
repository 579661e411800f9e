"""Data sets in, uint8 <-> [-1, 1], batches and augmentation. Keras is imported by the first name that needs it."""

import importlib

_NAMES = {
    "Batches": "batches",
    "Dataset": "datasets",
    "describe": "datasets",
    "load": "datasets",
    "to_float": "pixels",
    "to_uint8": "pixels",
}

__all__ = list(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module 'keras_ddpm.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_ddpm.data.{_NAMES[name]}"), name)
