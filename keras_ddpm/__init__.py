"""Class-conditional diffusion in Keras 3: `keras_ddpm.sample(digit, w)` draws any digit.

Importing this package is cheap: Keras and TensorFlow are imported by the first name that needs them.
"""

import importlib

__version__ = "0.1.0"

_NAMES = {
    "sample": "api",
    "restore": "restoration.api",
    "interpolate": "editing",
    "vary": "editing",
    "film": "editing",
    "Config": "config",
    "Label": "conditions",
    "Scalar": "conditions",
    "train": "training.train",
    "DDPM": "training.ddpm",
    "Diffusion": "diffusion",
    "Generator": "generator",
    "UNet": "networks.unet",
    "Autoencoder": "networks.autoencoder",
    "evaluate": "evaluation.api",
    "load_preset": "presets",
    "synthesize": "synthesis.api",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module 'keras_ddpm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_ddpm.{_NAMES[name]}"), name)


def __dir__():
    return __all__
