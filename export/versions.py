"""The numbered folders of a model: 1, 2, 3, ... A server takes the highest."""

import contextlib
import pathlib
import shutil
import time

PARTIAL = ".partial-"  # what a version is called while it is written: no server looks at it
LEFTOVER = 3600  # seconds without a write after which it is nobody's


def newest(folder):
    """The highest version in a model's folder that has a graph; None if there is none."""
    versions = [path.parent for path in pathlib.Path(folder).glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return max(versions, key=lambda path: int(path.name), default=None)


def find(folder):
    """A version's folder, from itself or from the model's folder.

    Raises:
        ValueError: if there is none.
    """
    folder = pathlib.Path(folder)
    found = folder if (folder / "saved_model.pb").is_file() else newest(folder)
    if found is None:
        raise ValueError(f"{str(folder)!r} must be a SavedModel, or a folder of numbered ones. There is none")
    return found


def sweep(out):
    """Remove what killed exports left: hidden folders that nobody has written to for an hour."""
    for path in pathlib.Path(out).glob(f"{PARTIAL}*"):
        with contextlib.suppress(FileNotFoundError):  # it has just been published
            newest_file = max(file.stat().st_mtime for file in (path, *path.rglob("*")))
            if time.time() - newest_file > LEFTOVER:
                shutil.rmtree(path, ignore_errors=True)


def publish(partial, out):
    """Rename a complete folder to the next free number; if another export takes it first, to the one after.

    Args:
        partial: pathlib.Path, in `out`.
        out: pathlib.Path of the model's folder.

    Returns:
        pathlib.Path of the version.
    """
    partial.chmod(0o755)  # a temporary folder is its owner's alone; a server is often another user
    while True:
        taken = [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
        version = out / str(max(taken, default=0) + 1)
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():
                raise
