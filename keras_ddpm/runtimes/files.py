"""The files of a runtime in a preset's folder: the network, and a JSON beside it that says what it is.

    network.tflite        what the runtime reads (for OpenVINO network.xml and network.bin)
    network.litert.json   the preset, SHA-256 of its weights and of each file, shapes, and the steps of its sampler

The folder needs no weights; if they are there, they must be those that were exported.
"""

import hashlib
import json
import pathlib

from keras_ddpm import presets
from keras_ddpm.runtimes.engines import engine, installed

VERSION = 1
"""Of the layout of the files: those of another are refused."""
STEM = "network"


def description(folder: pathlib.Path, runtime: str) -> pathlib.Path:
    """Path of the JSON of a runtime's files, whether it is there or not.

    Raises:
        ValueError: for an unknown runtime.
    """
    engine(runtime)
    return folder / f"{STEM}.{runtime}.json"


def names(runtime: str) -> list[str]:
    """Names of a runtime's files, without the JSON."""
    return [STEM + suffix for suffix in engine(runtime).suffixes]


def read_description(folder: pathlib.Path, runtime: str) -> dict:
    """What the JSON says.

    Raises:
        ValueError: if there is none, it is of another version, or of other weights than the folder's.
    """
    path = description(folder, runtime)
    again = f"python -m export --format {runtime} --preset {folder.name if _shipped(folder) else folder}"
    if not path.is_file():
        raise ValueError(f"The preset in {str(folder)!r} has no file for `runtime` {runtime!r}: {again}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version, weights, files = found["version"], found["weights_sha256"], found["files"]
        complete = set(files) == set(names(runtime))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {again}") from error
    if version != VERSION:
        raise ValueError(f"{str(path)!r} is of version {version}, this is version {VERSION}: {again}")
    if not complete:
        raise ValueError(f"{str(path)!r} is damaged: {again}")
    if presets.weights_file(folder).is_file() and presets.fingerprint(folder) != weights:
        raise ValueError(f"{str(path)!r} is of other weights than those in its preset: {again}")
    return found


def read(folder: pathlib.Path, runtime: str) -> list[bytes]:
    """The content of a runtime's files, checked against the JSON.

    Raises:
        ValueError: see `read_description`; or if a file is missing, truncated or changed.
    """
    expected, contents = read_description(folder, runtime)["files"], []
    for name in names(runtime):
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != expected[name]:
            raise ValueError(f"{str(path)!r} is missing, truncated or changed: export it again")
        contents.append(content)
    return contents


def usable(preset) -> str | None:
    """The first runtime that is installed and has files of this preset as it is now; None if there is none."""
    from keras_ddpm.runtimes.engines import ENGINES

    folder = presets.find(preset)
    for runtime in ENGINES:
        if description(folder, runtime).is_file() and installed(runtime):
            try:
                read_description(folder, runtime)
            except ValueError:
                continue  # of older weights
            return runtime
    return None


def _shipped(folder):
    return folder.parent.resolve() == presets.SHIPPED.resolve()
