"""Weights on disk: one file, written completely or not at all, read with one clear error."""

import json
import pathlib

import h5py

from keras_ddpm.whole import whole


def write_weights(model, path, *, state=None):
    """Save a model's weights, and a JSON-serialisable `state` in the same file.

    Args:
        model: A built Keras model.
        path: File to write, ending in `.weights.h5`. It is replaced in one move.
        state: dict, or None.
    """
    with whole(path) as partial:
        model.save_weights(partial, overwrite=True)
        with h5py.File(partial, "a") as file:
            file.attrs["keras_ddpm"] = json.dumps(state or {})
            file.attrs["shapes"] = json.dumps(_shapes(model))


def read_weights(model, path):
    """Load what `write_weights` wrote and return its state.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or of another architecture.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {str(path)!r}")
    try:
        with h5py.File(path) as file:
            state = json.loads(file.attrs.get("keras_ddpm", "{}"))
            shapes = json.loads(file.attrs.get("shapes", "null"))
    except OSError as error:
        raise ValueError(f"The weights file {str(path)!r} is damaged or truncated: {error}") from error
    if shapes is not None and shapes != _shapes(model):  # Keras would leave weights out without a word
        raise ValueError(f"The weights in {str(path)!r} do not fit this network: other layers or sizes")
    try:
        model.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"The weights in {str(path)!r} do not fit this network: {error}") from error
    return state


def _shapes(model):
    return [list(weight.shape) for weight in model.weights]
