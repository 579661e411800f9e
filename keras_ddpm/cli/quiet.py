"""TensorFlow's start-up messages, kept off the terminal.

TensorFlow writes to file descriptor 2 from C++ before its log level counts: six lines in a normal start without a GPU,
the last of them an alarming `E0000 ... failed call to cuInit`. `silence_tensorflow` catches what is written while
TensorFlow is imported and looks for devices, and drops the lines of its logger; anything else is written after all, and
everything if the import fails. It imports nothing itself. Later messages are left to TensorFlow's own log levels: what
goes wrong is a Python exception too. `TF_CPP_MIN_LOG_LEVEL=0` turns all of this off.
"""

import contextlib
import importlib.abc
import importlib.machinery
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
LOG_LINE = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:[\d.]+ "  # I0000 00:00:1795560868.652450
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:[\d.]+: [IWE] "  # 2026-11-24 22:54:10.123456: I tensorflow/...
    rb"|WARNING: All log messages before absl"
    rb"|To enable the following instructions:"
    rb"|INFO: Created TensorFlow Lite "
)

_terminal: int | None = None  # the real file descriptor 2, while it is redirected


def silence_tensorflow() -> None:
    """Keep TensorFlow's start-up messages off stderr, whenever it is imported. Call it before that."""
    if os.environ.setdefault(LEVEL, "3") == "0" or "tensorflow" in sys.modules:
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def restore_stderr() -> None:
    """Write to the terminal again, for a program that is about to exit during the import."""
    if _terminal is not None:
        os.dup2(_terminal, 2)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow where Python does, and has it executed quietly."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                with without_log_lines():
                    execute(module)
                    logging.getLogger("tensorflow").setLevel(logging.ERROR)
                    module.config.list_physical_devices()  # here CUDA says that there is no GPU

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def without_log_lines() -> Iterator[None]:
    """Redirect file descriptor 2; afterwards write what is no log line, or all after an error."""
    global _terminal
    with tempfile.TemporaryFile() as caught:
        if sys.stderr is not None:
            sys.stderr.flush()
        _terminal, drop = os.dup(2), False
        os.dup2(caught.fileno(), 2)
        try:
            yield
            drop = True
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(_terminal, 2)
            os.close(_terminal)
            _terminal = None
            caught.seek(0)
            for line in caught:
                if not (drop and LOG_LINE.match(line)):
                    os.write(2, line)
