"""The numbered folders of a model: 1, 2, 3, ... A server takes the highest, up to 2^63 - 1."""

import contextlib
import os
import pathlib
import shutil
import time

from keras_ddpm.saving.files import PARTIAL, STALE

LARGEST = 2**63 - 1  # servers hold the number in an int64, and do not look at higher ones


def number(path: pathlib.Path) -> int | None:
    """The version that a folder's name is for a server; None if it is none."""
    return int(path.name) if path.name.isdecimal() and int(path.name) <= LARGEST else None


def newest(folder: str | os.PathLike) -> pathlib.Path | None:
    """The highest version in a model's folder that has a graph; None if there is none."""
    versions = [
        path.parent for path in pathlib.Path(folder).glob("*/saved_model.pb") if number(path.parent) is not None
    ]
    return max(versions, key=lambda path: number(path) or 0, default=None)


def next_number(out: str | os.PathLike) -> int:
    """One more than the highest version in a model's folder.

    Raises:
        ValueError: if that is more than a server reads.
    """
    out = pathlib.Path(out)
    highest = max((number(path) or 0 for path in out.iterdir()), default=0) if out.is_dir() else 0
    if highest == LARGEST:
        raise ValueError(
            f"There is no version after {highest}, the highest that a server reads: rename that folder of "
            f"{str(out)!r}, or choose another `out`"
        )
    return highest + 1


def find(folder: str | os.PathLike) -> pathlib.Path:
    """A version's folder, from itself or from the model's folder.

    Raises:
        ValueError: if there is none.
    """
    folder = pathlib.Path(folder)
    found = folder if (folder / "saved_model.pb").is_file() else newest(folder)
    if found is None:
        raise ValueError(f"{str(folder)!r} must be a SavedModel, or a folder of numbered ones. There is none")
    return found


def sweep(out: str | os.PathLike) -> None:
    """Remove what killed exports left: hidden folders that nobody has written to for an hour."""
    for path in pathlib.Path(out).glob(f"{PARTIAL}*"):
        with contextlib.suppress(FileNotFoundError):  # it has just been published
            newest_file = max(file.stat().st_mtime for file in (path, *path.rglob("*")))
            if time.time() - newest_file > STALE:
                shutil.rmtree(path, ignore_errors=True)


def publish(partial: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Rename a complete folder to the next free number; if another export takes it first, to the one after.

    Args:
        partial: pathlib.Path, in `out`.
        out: pathlib.Path of the model's folder.

    Returns:
        pathlib.Path of the version.
    """
    partial.chmod(0o755)  # a temporary folder is its owner's alone; a server is often another user
    while True:
        version = out / str(next_number(out))
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():
                raise
