"""Weights on disk: one HDF5 file, written completely or not at all, and read with one clear error.

A file is checked before anything in it is used. It ends with a seal, the SHA-256 of all that comes before, which HDF5
ignores: on some damage HDF5 crashes the program. Then its declared shapes must be the model's (a file of a few
kilobytes can declare terabytes), and all numbers finite. A file without a seal, as Keras writes it, can be read too.
"""

import collections
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from keras_ddpm.saving import files

SEAL = b"keras_ddpm sha256"  # then the digest


def write_weights(model: Any, path: str | os.PathLike, *, state: dict | None = None) -> None:
    """Save a model's weights, and a JSON-serialisable `state` in the same file.

    Args:
        model: A built Keras model.
        path: File to write, ending in `.weights.h5`. It is replaced in one move.
        state: dict, or None.

    Raises:
        OSError: if the file cannot be written, for instance because the disk is full.
    """
    with files.atomic(path) as partial:
        files.reserve(partial, _size_on_disk(model))  # on a full disk HDF5 does not raise: it crashes at exit
        model.save_weights(partial, overwrite=True)
        with h5py.File(partial, "a") as file:
            file.attrs["keras_ddpm"] = json.dumps(state or {})
            file.attrs["shapes"] = json.dumps(_shapes(model))
        seal(partial)


def seal(path: str | os.PathLike) -> None:
    """Append the SHA-256 of a file to it, by which `read_weights` notices damage."""
    digest = hashlib.sha256(pathlib.Path(path).read_bytes()).digest()
    with open(path, "ab") as file:
        file.write(SEAL + digest)


def without_seal(content: bytes) -> bytes:
    """The content of a weights file without the seal at its end."""
    size = len(SEAL) + hashlib.sha256().digest_size
    return content[:-size] if content[-size:].startswith(SEAL) else content


def read_weights(model: Any, path: str | os.PathLike) -> dict:
    """Load what `write_weights` wrote and return its state. If it fails, the model keeps its weights.

    Args:
        model: A built Keras model; for the state of a training run, compiled and with its optimizer built.
        path: The file.

    Returns:
        The `state` that was saved beside the weights.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another architecture, or holds NaN or infinite weights.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {str(path)!r}")
    if not _seal_holds(path):
        raise ValueError(f"The weights file {str(path)!r} is damaged: its checksum is wrong")
    try:
        with h5py.File(path) as file:
            state = _check(file, model, path)
    except _UnfitError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # whatever damage makes h5py raise
        raise ValueError(f"The weights file {str(path)!r} is damaged or truncated: {_line(error)}") from error
    try:
        model.load_weights(path)
    except Exception as error:  # whatever other layers make Keras raise
        raise ValueError(f"The weights in {str(path)!r} do not fit this network: {_line(error)}") from error
    return state


def read_state(path: str | os.PathLike) -> dict:
    """The `state` in a weights file, without its weights.

    Raises:
        ValueError: if the file is damaged.
    """
    if not _seal_holds(pathlib.Path(path)):
        raise ValueError(f"The weights file {str(path)!r} is damaged: its checksum is wrong")
    try:
        with h5py.File(path) as file:
            return json.loads(file.attrs.get("keras_ddpm", "{}"))
    except Exception as error:  # whatever damage makes h5py raise
        raise ValueError(f"The weights file {str(path)!r} is damaged or truncated: {_line(error)}") from error


def _seal_holds(path: pathlib.Path) -> bool:
    """Whether a file's seal, if it has one, is that of its content."""
    content = memoryview(path.read_bytes())
    size = hashlib.sha256().digest_size
    content, mark, digest = content[: -size - len(SEAL)], content[-size - len(SEAL) : -size], content[-size:]
    if sum(a == b for a, b in zip(mark, SEAL)) < len(SEAL) // 2:  # a damaged seal is still a seal
        return True
    return bytes(mark) == SEAL and hashlib.sha256(content).digest() == bytes(digest)


class _UnfitError(Exception):
    """A readable file that must not be loaded."""


def _check(file: h5py.File, model: Any, path: pathlib.Path) -> dict:
    """The state in a file, once everything else in it was found to be good."""
    state = json.loads(file.attrs.get("keras_ddpm", "{}"))
    shapes = json.loads(file.attrs.get("shapes", "null"))
    if not isinstance(state, dict):
        raise _UnfitError(f"The weights file {str(path)!r} is damaged: its state must be a dict")
    datasets = list(_datasets(file))
    declared = collections.Counter(dataset.shape for dataset in datasets)
    expected = collections.Counter(tuple(variable.shape) for variable in _variables(model))
    # Keras would leave weights out without a word
    if (shapes is not None and shapes != _shapes(model)) or declared - expected:
        raise _UnfitError(f"The weights in {str(path)!r} do not fit this network: other layers or sizes")
    for dataset in datasets:
        if dataset.dtype.kind == "f" and not np.all(np.isfinite(dataset[()])):
            raise _UnfitError(f"The weights in {str(path)!r} must be finite: {dataset.name} holds NaN or infinity")
    return state


def _datasets(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """All datasets below a group, in a fixed order.

    Raises:
        OSError: for a link or an external file, by which a weights file could read any other.
    """
    for name in sorted(group):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise OSError(f"{group.name}/{name} is a link")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item)
        elif item.external or item.is_virtual:
            raise OSError(f"{item.name} is stored in another file")
        else:
            yield item


def _variables(model: Any) -> list:
    """All variables that Keras saves with a model, its optimizer's among them."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


def _shapes(model: Any) -> list:
    return [list(weight.shape) for weight in model.weights]


def _size_on_disk(model: Any) -> int:
    """Bytes that are surely enough for a model's file."""
    variables = _variables(model)
    return 65_536 + sum(8_192 + 8 * int(np.prod(variable.shape)) for variable in variables)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
