"""The manifest: the SHA-256 of each file of a version, by which a copy is checked without executing its graph."""

import json
import os
import pathlib

from keras_ddpm.saving.files import sha256

PLACE = "assets.extra/manifest.json"


def path_in(folder: pathlib.Path) -> pathlib.Path:
    """Where a version's manifest is."""
    return folder / PLACE


def write(folder: pathlib.Path) -> None:
    """Write the manifest of a complete version's folder."""
    text = json.dumps({"files": _hashes(folder)}, indent=2, sort_keys=True) + "\n"
    path_in(folder).write_text(text, encoding="utf-8")


def check(folder: pathlib.Path, *, manifest: pathlib.Path | None = None) -> dict[str, str]:
    """Compare a version's files with a manifest.

    Args:
        folder: A version's folder.
        manifest: File to compare with; None: the folder's own.

    Returns:
        dict of path -> SHA-256, in hexadecimal.

    Raises:
        ValueError: if there is no manifest, or a file is missing, added or changed.
        OSError: if a file cannot be read.
    """
    expected, found = _read(manifest or path_in(folder)), _hashes(folder)
    changes = {
        "is missing": expected.keys() - found.keys(),
        "is not in the manifest": found.keys() - expected.keys(),
        "is not what the manifest says: other SHA-256": {n for n in expected.keys() & found if expected[n] != found[n]},
    }
    for what, names in changes.items():
        if names:
            raise ValueError(f"{folder} is damaged or was changed: {sorted(names)[0]} {what}")
    return found


def is_intact(folder: pathlib.Path) -> bool:
    """Whether a version's files are those of its own manifest."""
    try:
        check(folder)
    except (ValueError, OSError):
        return False
    return True


def _read(path: pathlib.Path) -> dict[str, str]:
    if not path.is_file():
        raise ValueError(f"There is no manifest {str(path)!r}: export again with this version of keras_ddpm")
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): str(value) for name, value in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} is not a manifest: {error!r}") from error


def _hashes(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of all files but the manifest. Only what is found is opened, never what a manifest names."""
    found = {}
    for where, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = pathlib.Path(where) / name
            relative = path.relative_to(folder).as_posix()
            if relative == PLACE:
                continue
            if not path.is_file():  # a pipe or a socket would be waited for
                raise ValueError(f"{path} is not a regular file")
            found[relative] = sha256(path)
    return found
