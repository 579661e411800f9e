"""Ctrl-C: one line, status 130, at once.

Python runs its own handler between two bytecodes of the main thread, which TensorFlow may keep busy in C++ for half a
minute, and a KeyboardInterrupt inside an import or a graph is a traceback of many lines. So a thread waits for the
signal here, removes what is being written, says the one line and ends the program.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from keras_ddpm.cli import quiet
from keras_ddpm.saving import files

STATUS = 130  # 128 + SIGINT

_advice: Callable[[], str] = str


def advise(advice: Callable[[], str]) -> None:
    """Set what an interrupted program says after "interrupted": a function that returns a sentence, or ""."""
    global _advice
    _advice = advice


def line() -> str:
    """What an interrupted program says."""
    return f"interrupted. {_advice()}".strip()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """End the program within the block on Ctrl-C. Does nothing in a thread, or where the signal is ignored (nohup)."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    old_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    old_handler = signal.signal(signal.SIGINT, lambda *_: None)
    thread = threading.Thread(target=_wait, args=(reader,), daemon=True, name="interrupt")
    thread.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old_handler)
        signal.set_wakeup_fd(old_writer)
        os.close(writer)
        thread.join()
        os.close(reader)


def _wait(reader: int) -> None:
    while received := os.read(reader, 64):  # the numbers of signals; nothing once the writer is closed
        if signal.SIGINT in received:
            _end()


def _end() -> None:
    files.remove_partials()
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(0.5)  # the main thread may hold the lock of a pipe that nobody reads
    quiet.restore_stderr()
    start = "\n" if os.isatty(2) else ""  # a progress bar ends without one
    with contextlib.suppress(OSError):
        os.write(2, f"{start}{line()}\n".encode())
    os._exit(STATUS)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()
