"""Errors and Ctrl-C are one line and a status, and leave no half-written file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import CTRL_C_ENDS, CTRL_C_IS_IGNORED, after

from keras_ddpm.cli import interrupt
from keras_ddpm.cli.run import run

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
BUSY = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # minutes in C, as TensorFlow spends them


STARTED = []


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def start(code, *, cwd=ROOT, **kwargs):
    """A Python process that does not ignore Ctrl-C, even if this one does."""
    process = subprocess.Popen(
        after(CTRL_C_ENDS, [sys.executable, *code]),
        cwd=cwd,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        **{"stdout": subprocess.PIPE} | kwargs,
    )
    STARTED.append(process)
    return process


def program(body):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return ["-c", f"from keras_ddpm.cli.run import run\ndef main():\n{lines}run(main)"]


def wait_for(holds, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)


def interrupted(process):
    """What a process does within two seconds of Ctrl-C: status and stderr."""
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=2)
    return process.returncode, error


@pytest.mark.parametrize("error", [ValueError("a\nb"), OSError("a b"), FloatingPointError("a b")])
def test_an_error_is_one_line_and_status_2(error, capsys):
    def fails():
        raise error

    with pytest.raises(SystemExit) as stop:
        run(fails)
    assert stop.value.code == 2 and capsys.readouterr().err == "error: a b\n"


def test_an_error_of_the_program_keeps_its_traceback():
    def fails():
        raise KeyError("a")

    with pytest.raises(KeyError):
        run(fails)


def test_after_tensorflow_has_started_an_error_is_still_exactly_one_line(tmp_path):
    done = start(["-m", "keras_ddpm", "sample", "7", "--steps", "0"], cwd=tmp_path)
    _, error = done.communicate(timeout=120)
    assert done.returncode == 2 and error.startswith("error: `steps` must be") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_ctrl_c_is_one_line_and_status_130_even_while_c_computes(tmp_path):
    out, folder = tmp_path / "out", tmp_path / "folder"
    folder.mkdir()
    body = f"""
from keras_ddpm.saving import files
with files.atomic({str(folder / "a")!r}) as partial, files.partial_folder({str(folder)!r}) as other:
    partial.write_text("half")
    print("busy", flush=True)
    print("in the buffer")
    {BUSY}
"""
    with out.open("w") as stdout:
        process = start(program(body), stdout=stdout)
    wait_for(lambda: out.read_text() == "busy\n")
    assert len(list(folder.iterdir())) == 2
    assert interrupted(process) == (130, "interrupted.\n")
    assert out.read_text() == "busy\nin the buffer\n" and not list(folder.iterdir())


def test_ctrl_c_during_the_import_of_tensorflow_is_one_line(tmp_path):
    busy = tmp_path / "busy"
    fake = f"import os; os.write(2, b'I0000 00:00:1.2 noise\\n'); open({str(busy)!r}, 'w'); {BUSY}"
    (tmp_path / "tensorflow.py").write_text(fake)
    process = start(program(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport tensorflow"))
    wait_for(busy.exists)
    assert interrupted(process) == (130, "interrupted.\n")


@pytest.mark.slow
def test_ctrl_c_while_tensorflow_draws_is_one_line_and_leaves_no_file(tmp_path):
    process = start(
        ["-m", "keras_ddpm", "sample", "7", "--n", "5000", "--steps", "1000", "--out", "a.png"], cwd=tmp_path
    )
    time.sleep(12)
    assert interrupted(process) == (130, "interrupted.\n")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_does_nothing_where_the_signal_is_ignored():
    code = program("print('ready', flush=True)\nimport time; time.sleep(1)\nprint('done')")
    process = subprocess.Popen(
        after(CTRL_C_IS_IGNORED, [sys.executable, *code]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "done\n" and process.returncode == 0


def test_a_keyboard_interrupt_that_gets_through_is_one_line_too(capsys):
    def stops():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run(stops)
    assert stop.value.code == 130 and capsys.readouterr().err == f"{interrupt.line()}\n"


def test_a_reader_that_leaves_is_no_error():
    process = start(program("for i in range(100_000): print(i)"))
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(30) == 141


def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        process = start(program("print('a')"), stdout=full)
        assert process.communicate(timeout=30)[1] == "error: [Errno 28] No space left on device\n"
    assert process.returncode == 2


def test_a_closed_stdout_is_not_taken_by_the_next_file(tmp_path):
    body = f"import os\nfile = open({str(tmp_path / 'a')!r}, 'w')\nos.write(1, b'text')"
    (tmp_path / "main.py").write_text(program(body)[1])
    done = subprocess.run(
        f"exec {sys.executable} {tmp_path / 'main.py'} >&-",
        shell=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / "a").read_text() == ""
