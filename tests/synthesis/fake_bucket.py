"""A bucket in memory, as one of Apache Beam's file systems: mem://name/..."""

import io

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

FILES: dict[str, bytes] = {}
UPLOADS: list[str] = []
CLOSED: list[str] = []
"""Prefixes that cannot be written to."""


class MemoryFileSystem(FileSystem):
    @classmethod
    def scheme(cls):
        return "mem"

    def join(self, base, *paths):
        return "/".join([base.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path):
        pass

    def has_dirs(self):
        return False

    def _list(self, prefix):
        for path, content in list(FILES.items()):
            if path.startswith(prefix):
                yield FileMetadata(path, len(content))

    def create(self, path, mime_type="", compression_type=None):
        if any(path.startswith(prefix) for prefix in CLOSED):
            raise BeamIOError("403 no permission to create objects")
        return _Upload(path)

    def open(self, path, mime_type="", compression_type=None):
        return io.BytesIO(FILES[path])

    def copy(self, sources, destinations):
        for source, destination in zip(sources, destinations):
            FILES[destination] = FILES[source]

    def rename(self, sources, destinations):
        self.copy(sources, destinations)
        self.delete(sources)

    def exists(self, path):
        return path in FILES

    def size(self, path):
        return len(FILES[path])

    def last_updated(self, path):
        return 0

    def checksum(self, path):
        return ""

    def metadata(self, path):
        return FileMetadata(path, len(FILES[path]))

    def delete(self, paths):
        for path in paths:
            FILES.pop(path)


class _Upload(io.BytesIO):
    """An object that is there once it is closed."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def close(self):
        if not self.closed:
            FILES[self.path] = self.getvalue()
            UPLOADS.append(self.path)
        super().close()
