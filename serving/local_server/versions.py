"""Versions of a model in a folder: the latest that loads is served, and a new one takes over without a gap.

    models/ddpm/1/   models/ddpm/2/   ...

The folder is looked at once a second. A new version is loaded beside the old one, new requests go to it, and the old
one is closed when its last request is answered. A version that does not load (half-copied, broken) leaves the old one
in place, and is tried again when its files change.

Looking and loading happen in threads that nobody has to wait for: one that hangs delays neither requests nor the end of
the server, and later versions only for `load_timeout`.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import enum
import itertools
import logging
import pathlib
import threading
from collections.abc import Callable, Iterator

from tensorflow_serving.apis import model_pb2

from .errors import DEADLINE_EXCEEDED, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, StatusError
from .servable import return_freed_memory
from .version import Version

logger = logging.getLogger(__name__)

LARGEST = 2**63 - 1  # version numbers are int64 on the wire; folders above that are none
MOST_FILES = 1000  # of a folder, that are looked at for changes


class State(enum.IntEnum):
    """Where a version is in its life; the numbers are those of GetModelStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass
class Entry:
    """What is known of one version."""

    number: int
    state: State = State.START
    error: StatusError | None = None
    files: tuple = ()
    version: Version | None = None
    uses: int = 0
    idle: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class Versions:
    """The versions of one model; belongs to one event loop.

    Args:
        name: Name of the model.
        base_path: Folder of numbered folders.
        load: Function of a path that returns a Version; called in a thread.
        load_timeout: Seconds that it may take.
    """

    def __init__(self, name: str, base_path: str | pathlib.Path, load: Callable, *, load_timeout: float = 300.0):
        self.name = name
        self._base_path = pathlib.Path(base_path)
        self._load = load
        self._load_timeout = load_timeout
        self._current = None
        self._entries: dict[int, Entry] = {}
        self._retiring: set[asyncio.Task] = set()

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[Version]:
        """The version that a request names, kept open while it is used.

        Raises:
            StatusError: if there is no such version.
        """
        entry = self._find(spec)
        entry.uses += 1
        try:
            yield entry.version
        finally:
            entry.uses -= 1
            if not entry.uses:
                entry.idle.set()

    def entries(self, spec: model_pb2.ModelSpec) -> list[Entry]:
        """What is known of the versions that a status request names, the latest first.

        Raises:
            StatusError: if there are none.
        """
        self._check_label(spec)
        entries = self._entries if spec.name == self.name else {}
        if not spec.HasField("version"):
            if not entries:
                raise StatusError(NOT_FOUND, f"Could not find any versions of model {spec.name}")
            return [entries[number] for number in sorted(entries, reverse=True)]
        if spec.version.value not in entries:
            raise StatusError(NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
        return [entries[spec.version.value]]

    async def scan(self) -> bool:
        """Look at the folder once, and serve the latest version that loads.

        Returns:
            Whether some version is served.
        """
        folders = await in_daemon_thread(_numbered_folders, self._base_path)
        for number in sorted(folders, reverse=True):
            entry = self._entries.get(number)
            if entry is not None and entry is self._current:
                break
            if entry is not None and entry.state == State.UNLOADING:
                continue
            files = await in_daemon_thread(_files, folders[number])
            if entry is not None and entry.error is not None and entry.files == files:
                continue
            if await self._try(Entry(number, files=files), folders[number]):
                break
        return self._current is not None

    def is_loading(self) -> bool:
        """Whether a version is being loaded."""
        return any(entry.state == State.LOADING for entry in self._entries.values())

    async def close(self) -> None:
        """Close every version, after the requests that run."""
        if self._current is not None:
            self._retire(self._current)
            self._current = None
        while self._retiring:
            await asyncio.wait(self._retiring)

    def errors(self) -> list[tuple[int, StatusError]]:
        """Versions that did not load: list of (number, error)."""
        return [(entry.number, entry.error) for entry in self._entries.values() if entry.error is not None]

    def _find(self, spec):
        if not spec.name:
            raise StatusError(INVALID_ARGUMENT, "ModelSpec has no name specified.")
        self._check_label(spec)
        wanted = self._entries.get(spec.version.value) if spec.HasField("version") else self._current
        if spec.name != self.name or wanted is None or wanted.state != State.AVAILABLE:
            choice = f"Specific({spec.name}, {spec.version.value})" if spec.HasField("version") else None
            raise StatusError(NOT_FOUND, f"Servable not found for request: {choice or f'Latest({spec.name})'}")
        return wanted

    def _check_label(self, spec):
        if spec.WhichOneof("version_choice") == "version_label":  # labels are given in a config file: none here
            raise StatusError(INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}")

    async def _try(self, entry, path):
        self._entries[entry.number] = entry
        entry.state = State.LOADING
        logger.info("%s version %d is LOADING from %s", self.name, entry.number, path)
        try:
            entry.version = await self._load_in_time(path)
        except StatusError as error:
            entry.state, entry.error = State.END, error
            logger.error("%s version %d did not load: %s", self.name, entry.number, error)
            return False
        entry.state = State.AVAILABLE
        logger.info("%s version %d is AVAILABLE", self.name, entry.number)
        previous, self._current = self._current, entry
        if previous is not None:
            self._retire(previous)
        return True

    async def _load_in_time(self, path):
        given_up = threading.Event()

        def load():
            try:
                version = self._load(path)
            except Exception as error:
                # Not the error itself: its traceback would keep the graph that did not load.
                failure = StatusError(getattr(error, "code", getattr(error, "error_code", INTERNAL)), str(error))
            else:
                if given_up.is_set():
                    version.servable.close()
                return version
            return_freed_memory()
            raise failure

        try:
            async with asyncio.timeout(self._load_timeout):
                return await in_daemon_thread(load)
        except TimeoutError:
            raise StatusError(DEADLINE_EXCEEDED, f"It must load within {self._load_timeout:g} s") from None
        finally:
            given_up.set()

    def _retire(self, entry):
        entry.state = State.UNLOADING
        task = asyncio.create_task(self._close(entry))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _close(self, entry):
        while entry.uses:
            entry.idle.clear()
            await entry.idle.wait()
        await entry.version.close()
        entry.version = None
        entry.state = State.END
        logger.info("%s version %d is closed", self.name, entry.number)


def in_daemon_thread(function: Callable, *args) -> asyncio.Future:
    """Call a function in a thread of its own, which does not keep the program from ending."""
    future: concurrent.futures.Future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # a thread cannot be cancelled

    def run():
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)


def _numbered_folders(base_path):
    try:
        found = [path for path in base_path.iterdir() if path.name.isascii() and path.name.isdecimal()]
    except OSError as error:
        logger.warning("cannot look for versions: %s", error)
        return {}
    return {int(path.name): path for path in found if int(path.name) <= LARGEST and path.is_dir()}


def _files(folder):
    """What changes when a file of a SavedModel does: names, sizes and times, of the folder and the folders in it."""
    found = []
    with contextlib.suppress(OSError):
        parts = [path for path in itertools.islice(folder.iterdir(), MOST_FILES)]
        folders = [path for path in parts if path.is_dir() and not path.is_symlink()]
        for path in itertools.islice(itertools.chain(parts, *map(pathlib.Path.iterdir, folders)), MOST_FILES):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
