"""Where shards live: a local folder, or a bucket by Apache Beam's file systems (gs://, s3://, hdfs:// and others).

Both hand out local files. What is written to one appears under its name when the block ends without an error: in a
folder by a rename, in a bucket as an upload under a partial name and a rename.
"""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from keras_ddpm.saving import files

PARTIAL = files.PARTIAL


class Folder:
    """A local folder.

    Args:
        path: Existing or not; the first file makes it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def check(self) -> None:
        """Raise an OSError in one sentence if files cannot be written to it. Leaves nothing behind."""
        files.probe_folder(self.path)

    def names(self, folder: str = ".") -> list[str]:
        """Names of the files in it, or in a folder in it; none if it does not exist."""
        where = self.path / folder
        return sorted(path.name for path in where.iterdir()) if where.is_dir() else []

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError if there is none."""
        return (self.path / name).read_bytes()

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[pathlib.Path]:
        """A local path of a file."""
        yield self.path / name

    @contextlib.contextmanager
    def writing(self, name: str, *, size: int = 0) -> Iterator[pathlib.Path]:
        """A local path to write to, renamed in the end.

        Args:
            name: Of the file, to create or replace.
            size: Bytes that must fit on the disk before anything is written.

        Raises:
            OSError: in one sentence, if the disk is full or the folder cannot be written to.
        """
        target = self.path / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic(target) as partial:
                if size:
                    files.reserve(partial, size)
                yield partial
        except OSError as error:
            raise OSError(f"Cannot write {str(target)!r}: {error.strerror or _cause(error)}") from error

    def remove_partials(self) -> None:
        """Remove what killed writers left."""
        for path in [*self.path.glob(f"{PARTIAL}*"), *self.path.glob(f"*/{PARTIAL}*")]:
            path.unlink(missing_ok=True)


class Bucket:
    """A folder of one of Beam's file systems.

    Args:
        url: Such as "gs://bucket/digits".
    """

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def check(self) -> None:
        """Raise an OSError in one sentence if files cannot be written to it, a ValueError for an unknown scheme."""
        name = f"{PARTIAL}probe"
        try:
            with self._systems().create(f"{self.url}/{name}", **_plain()) as file:
                file.write(b"")
            self._systems().delete([f"{self.url}/{name}"])
        except ValueError as error:  # no such file system
            raise ValueError(f"`out` cannot be used: {_cause(error)}") from error
        except Exception as error:  # each file system has errors of its own
            raise OSError(f"Cannot write to {self.url!r}: {_cause(error)}") from error

    def names(self, folder: str = ".") -> list[str]:
        """Names of the files in it, or in a folder in it; none if it does not exist."""
        prefix = f"{self.url}/" if folder == "." else f"{self.url}/{folder}/"
        found = self._systems().match([f"{prefix}*"])[0].metadata_list
        return sorted({entry.path.removeprefix(prefix).partition("/")[0] for entry in found})

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError if there is none."""
        if not self._systems().exists(f"{self.url}/{name}"):
            raise FileNotFoundError(f"There is no {self.url}/{name}")
        with self._systems().open(f"{self.url}/{name}", **_plain()) as file:
            return file.read()

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[pathlib.Path]:
        """A local copy of a file, for the length of the block."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            with self._systems().open(f"{self.url}/{name}", **_plain()) as file, path.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            yield path

    @contextlib.contextmanager
    def writing(self, name: str, *, size: int = 0) -> Iterator[pathlib.Path]:
        """A local path to write to, uploaded and renamed in the end; see `Folder.writing`."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / pathlib.Path(name).name
            yield path
            parent, _, last = f"{self.url}/{name}".rpartition("/")
            partial = f"{parent}/{PARTIAL}{os.urandom(4).hex()}.{last}"
            try:
                with path.open("rb") as file, self._systems().create(partial, **_plain()) as upload:
                    shutil.copyfileobj(file, upload)
                self._systems().rename([partial], [f"{self.url}/{name}"])
            except Exception as error:  # each file system has errors of its own
                raise OSError(f"Cannot write {self.url}/{name}: {_cause(error)}") from error

    def remove_partials(self) -> None:
        """Remove what killed writers left."""
        for folder in (".", ".shards"):
            left = [name for name in self.names(folder) if name.startswith(PARTIAL)]
            if left:
                self._systems().delete([f"{self.url}/{folder}/{name}".replace("/./", "/") for name in left])

    @staticmethod
    def _systems():
        from apache_beam.io.filesystems import FileSystems

        return FileSystems


def open_folder(path: str | os.PathLike) -> "Folder | Bucket":
    """The folder, or the bucket, of a path.

    Raises:
        ValueError: for a bucket, if Apache Beam is not installed.
    """
    if "://" in str(path) and importlib.util.find_spec("apache_beam") is None:
        raise ValueError(f"{str(path)!r} needs Apache Beam: pip install 'keras_ddpm[synthesize]'")
    return Bucket(str(path)) if "://" in str(path) else Folder(path)


def _plain():
    """No compression by the name's ending."""
    from apache_beam.io.filesystem import CompressionTypes

    return {"compression_type": CompressionTypes.UNCOMPRESSED}


def _cause(error: Exception) -> str:
    """An error in one line, without the path that the caller names."""
    return " ".join(str(error).split())[:300] or type(error).__name__
