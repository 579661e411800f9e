"""Speed, memory and quality, measured on the machine at hand."""

from keras_ddpm.cli.quiet import silence_tensorflow

silence_tensorflow()  # before any of these modules imports Keras
