"""Programs that begin with a signal or a limit of their own, however the tests were started.

Not by subprocess's `preexec_fn`: that runs Python between fork and exec, which can hang in a process with threads.
"""

import sys

CTRL_C_ENDS = "signal.signal(signal.SIGINT, signal.SIG_DFL)"
CTRL_C_IS_IGNORED = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
SMALL_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))"


def after(preparation, command):
    """A command that does one of these first."""
    code = f"import os, resource, signal, sys; {preparation}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *map(str, command)]
