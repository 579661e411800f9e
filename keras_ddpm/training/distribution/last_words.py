"""What a process says if its runtime ends it: one sentence instead of pages of C++.

JAX's distributed runtime aborts every process as soon as it learns that one is lost, from a thread in C++ that Python
cannot intercept, and writes a log and a stack trace. So file descriptor 2 goes through a helper, this file run as a
program. It forwards what the program says and drops the runtime's log; if the runtime ended the process, it says the
sentence that it was given last. The helper imports nothing of ours, and ends when the process does.
"""

import os
import re
import select
import subprocess
import sys

GIVEN, SAY = b"\0last words: ", b"\0say them"
FATAL = re.compile(rb"F\d{4} \d\d:\d\d:[\d.]+ ")  # F1125 02:36:48.463968   26993 client.h:80] Terminating process ...
LOG_LINE = re.compile(rb"[IWEF]\d{4} \d\d:\d\d:[\d.]+ |WARNING: All log messages before absl|\[Gloo\] Rank ")
PATIENCE = 1.0  # seconds for which what follows a log line may turn out to be the beginning of the end


class LastWords:
    """Sends file descriptor 2 through the helper, for as long as the process lives.

    Args:
        sentence: What to say if the runtime ends the process.
    """

    def __init__(self, sentence: str):
        sys.stderr.flush()
        command = [sys.executable, "-I", "-S", __file__]
        helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        assert helper.stdin is not None
        os.dup2(helper.stdin.fileno(), 2)
        helper.stdin.close()
        self.change(sentence)

    def change(self, sentence: str) -> None:
        """Give another sentence; "" for none."""
        sys.stderr.flush()
        os.write(2, GIVEN + sentence.encode() + b"\n")

    def end(self, status: int) -> None:
        """End the process at once, with its last words."""
        sys.stderr.flush()
        os.write(2, SAY + b"\n")
        os._exit(status)


class Filter:
    """The helper's state: `line` takes one line of the process, `finish` is for its end."""

    def __init__(self, out):
        self.out, self.sentence, self.ended, self.held = out, b"", False, []

    def line(self, line: bytes) -> None:
        if line.startswith(GIVEN):
            self.sentence = line.removeprefix(GIVEN)
        elif line.startswith(SAY) or FATAL.match(line):
            self.ended = True
        elif LOG_LINE.match(line):
            self.held.append(b"")
        elif self.held:  # a log message may have several lines
            self.held.append(line)
        elif not self.ended:
            self.write(line)

    def release(self) -> None:
        """Write what was held back: it was no log message's rest."""
        if not self.ended:
            for line in filter(None, self.held):
                self.write(line)
        self.held = []

    def finish(self) -> None:
        self.release()
        if self.ended and self.sentence.strip():
            self.write(self.sentence)

    def write(self, line: bytes) -> None:
        self.out.write(line)
        self.out.flush()


def main() -> None:
    """Filter stdin to stderr."""
    filtered, rest = Filter(sys.stderr.buffer), b""
    while True:
        if not select.select([0], [], [], PATIENCE if filtered.held else None)[0]:
            filtered.release()
        elif chunk := os.read(0, 65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                filtered.line(line + b"\n")
        else:
            break
    if rest:
        filtered.line(rest)
    filtered.finish()


if __name__ == "__main__":
    main()
