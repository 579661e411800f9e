"""Data sets, uint8 <-> [-1, 1], batches, augmentation, pictures. Keras is imported by the first that needs it."""

import importlib
from typing import Any

_NAMES = {
    "Batches": "batches",
    "Dataset": "datasets",
    "describe": "datasets",
    "load": "datasets",
    "to_float": "pixels",
    "to_uint8": "pixels",
}

__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'keras_ddpm.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_ddpm.data.{_NAMES[name]}"), name)
