"""The old names of `keras_ddpm.files`, for modules that still use them."""

from keras_ddpm.files import atomic as whole
from keras_ddpm.files import write_text

__all__ = ["whole", "write_text"]
