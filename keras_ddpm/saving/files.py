"""Files that are written completely or not at all: under a partial name first, then renamed.

Each writer has a partial name of its own, so two processes may write the same file: the last to finish wins. An
interrupted program removes what it was writing (`remove_partials`); what a killed one left goes with the next write.
"""

import contextlib
import hashlib
import os
import pathlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator

PARTIAL = ".partial-"
STALE = 3600  # seconds without a write after which a partial file belongs to nobody

_lock = threading.RLock()
_partials: set[pathlib.Path] = set()


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a partial path to write to; rename it to `path` if the block succeeds, remove it if it fails.

    Args:
        path: File to create or replace. The partial name keeps its suffixes, which some writers look at.

    Example:
        >>> with atomic("report.json") as partial:
        ...     partial.write_text("{}")
    """
    path = pathlib.Path(path)
    _remove_stale(path)
    with _registered(_partial_name(path)) as partial:
        yield partial
        os.replace(partial, path)


@contextlib.contextmanager
def partial_folder(parent: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a new, hidden folder to fill and rename; remove it, if it is still there, when the block ends.

    Args:
        parent: Existing folder in which to make it.
    """
    with _lock, contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=PARTIAL, dir=parent))
        stack.enter_context(_registered(folder))
        kept = stack.pop_all()
    with kept:
        yield folder


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_writable(path: str | os.PathLike) -> None:
    """Raise before any work is done if a file cannot be written. Creates a partial file and removes it.

    Raises:
        OSError: in one sentence that names the path.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():
        raise OSError(f"Cannot write {str(path)!r}: it is not a regular file")
    try:
        with _registered(_partial_name(path)) as partial:
            partial.touch(exist_ok=False)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise OSError(f"Cannot write {str(path)!r}: {_reason(error)}") from error


def check_folder(path: str | os.PathLike) -> None:
    """Make a folder, and its parents, unless it exists; raise if files cannot be written to it.

    Raises:
        OSError: in one sentence that names the path.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise OSError(f"Cannot write to the folder {str(path)!r}: it is a file")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _registered(_partial_name(path / "probe")) as partial:
            partial.touch(exist_ok=False)
    except (OSError, ValueError) as error:
        raise OSError(f"Cannot write to the folder {str(path)!r}: {_reason(error)}") from error


def probe_folder(path: str | os.PathLike) -> None:
    """Check a folder as `check_folder` does, and leave no new folder behind.

    Raises:
        OSError: in one sentence that names the path.
    """
    path = pathlib.Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        check_folder(path)
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()


def reserve(path: str | os.PathLike, size: int) -> None:
    """Raise unless a new file of `size` bytes fits on the disk now. Leaves an empty file.

    Raises:
        OSError: in one sentence that names the path.
    """
    with open(path, "wb") as file:
        if not hasattr(os, "posix_fallocate"):  # macOS
            return
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            os.ftruncate(file.fileno(), 0)
        except OSError as error:
            raise OSError(f"Cannot write {size:,} bytes to {str(path)!r}: {_reason(error)}") from error


def sha256(path: str | os.PathLike) -> str:
    """A file's SHA-256 in hexadecimal, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_partials() -> None:
    """Remove everything that is being written, and let nothing more be written. For a program about to exit."""
    _lock.acquire()  # never released
    for partial in _partials:
        for _ in range(3):  # other threads may still be writing into a folder
            _remove(partial)


@contextlib.contextmanager
def _registered(partial: pathlib.Path) -> Iterator[pathlib.Path]:
    """Know a partial file or folder while it is being written."""
    with _lock:
        _partials.add(partial)
    try:
        yield partial
    finally:
        with _lock:
            _remove(partial)
            _partials.discard(partial)


def _partial_name(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{PARTIAL}{secrets.token_hex(4)}.{path.name}")  # a process id is not unique in containers


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_stale(path: pathlib.Path) -> None:
    """Remove the partial files that killed processes left of this file."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(PARTIAL) and entry.name.endswith(f".{path.name}")
            if ours and time.time() - entry.stat().st_mtime > STALE:
                os.unlink(entry.path)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
