"""Files that are written completely or not at all: under another name first, then moved."""

import contextlib
import os
import pathlib


@contextlib.contextmanager
def whole(path):
    """Yields the path to write to; moves it to `path` when the block ends well, and removes it when it does not.

    Args:
        path: File that is made, or replaced. The other name keeps its endings, which writers look at.

    Example:
        >>> with whole("report.json") as partial:
        ...     partial.write_text("{}")
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file, in UTF-8."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
