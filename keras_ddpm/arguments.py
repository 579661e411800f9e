"""The old name of `keras_ddpm.cli.train`, for modules that still use it."""

from keras_ddpm.cli.train import parse_training, parse_values

__all__ = ["parse_training", "parse_values"]
