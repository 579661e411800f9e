"""What every command has in common: one line for an error, one for Ctrl-C, and no noise of TensorFlow's."""

import os
import sys
from collections.abc import Callable

from keras_ddpm.cli import quiet
from keras_ddpm.cli.interrupt import STATUS, advise, interruptible, line

ERROR = 2
BROKEN_PIPE = 141  # 128 + SIGPIPE


def run(function: Callable[[], object]) -> None:
    """Call a command's function, with imports of TensorFlow still to come.

    Raises:
        SystemExit: with status 2 and one line on stderr for an error that the user can mend, 130 for Ctrl-C.
    """
    _open_standard_streams()
    quiet.silence_tensorflow()
    advise(str)
    try:
        with interruptible():
            function()
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # `... | head`
        _discard_stdout()
        sys.exit(BROKEN_PIPE)
    except KeyboardInterrupt:  # where the signal's thread is not in charge
        print(line(), file=sys.stderr)
        sys.exit(STATUS)
    except _errors() as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        _discard_stdout()
        sys.exit(ERROR)


def _errors() -> tuple[type[Exception], ...]:
    """Errors of what was asked for, or of the machine: not of the program."""
    expected = (ValueError, OSError, FloatingPointError, MemoryError)
    tensorflow = sys.modules.get("tensorflow")
    return expected if tensorflow is None else (*expected, tensorflow.errors.OpError)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory. {text}".strip()
    return text or type(error).__name__


def _discard_stdout() -> None:
    """Whatever cannot be written to stdout is dropped, and Python does not try it again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _open_standard_streams() -> None:
    """With `>&-` the next file that is opened would become stdout, and be written to."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
