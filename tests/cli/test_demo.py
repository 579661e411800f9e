"""keras-ddpm demo: it opens, says where, ends with Ctrl-C, and a wrong option is one line."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from processes import CTRL_C_ENDS, after

from keras_ddpm.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_says_where_it_is_and_ends_with_ctrl_c(small_preset):
    command = after(CTRL_C_ENDS, [sys.executable, "-m", "keras_ddpm", "demo", "--preset", small_preset])
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        address = re.match(r"(http://127\.0\.0\.1:\d+/) \(Ctrl-C closes it\)\n", line)[1]
        assert "Draw digits" in urllib.request.urlopen(address, timeout=10).read().decode()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, out, error) == (130, "", "interrupted. The page is closed.\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--preset nothing", "`preset` must be one of"),
        ("--port 0", "`port` must be in 1..65535. Received: 0"),
        ("--port 70000", "`port` must be in 1..65535. Received: 70000"),
        ("--server localhost:8500 --preset mnist", "`preset` must be left out with `server`"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments.split()])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error


def test_a_server_that_is_not_there_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr("keras_ddpm.cli.demo.READY", 0.5)
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--server", "http://localhost:9"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "localhost:9" in error
