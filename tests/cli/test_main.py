"""The command line as a whole: one program, its commands and their help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_ddpm
from keras_ddpm.cli.main import main

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "sample",
    "restore",
    "vary",
    "interpolate",
    "train",
    "evaluate",
    "compare",
    "synthesize",
    "demo",
    "presets",
    "info",
)


def test_version_is_the_packages(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"keras_ddpm {keras_ddpm.__version__}\n"


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and all(f"• {command} " in out for command in COMMANDS) and "--version" in out


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ("evaluate", "compare")])
def test_every_option_says_what_it_is(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert "usage:" in out
    if command != "train":  # there, the configuration's fields speak for themselves
        lines = [line.strip("│ ") for line in out.splitlines()]
        for i, line in enumerate(lines):
            if line.startswith("--"):
                description = line.split("  ", 1)[1:] or [lines[i + 1]]
                assert description[0].strip() and not description[0].strip().startswith("("), line


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["sample", "--help"], ["presets"], ["info"]])
def test_what_needs_no_network_imports_neither_keras_nor_tensorflow(args):
    code = f"""
import sys
from keras_ddpm.cli.main import main
try:
    main({args!r})
finally:
    assert not {{"keras", "tensorflow", "jax"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout and done.stderr == ""


def test_the_module_is_the_same_program(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    args = [sys.executable, "-m", "keras_ddpm", "train", "--help"]
    done = subprocess.run(args, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("usage: python -m keras_ddpm train")
    assert "--learning-rate" in done.stdout


def test_info_prints_the_configuration(small_preset, capsys):
    main(["info", "--preset", str(small_preset)])
    assert '"schedule": "cosine"' in capsys.readouterr().out


def test_presets_lists_the_shipped_ones(capsys):
    main(["presets"])
    colour, mnist, attributes, fast, fast_v2, fast_v3, w_of_digit, report = capsys.readouterr().out.splitlines()
    assert colour.startswith("colour_mnist: 32 x 32 x 3, 10 classes, digit_red, digit_green, digit_blue, ground_red, ")
    assert mnist.startswith("mnist: 28 x 28 x 1, 10 classes; w = 1.5, dpm")
    assert attributes.startswith("mnist_attributes: 28 x 28 x 1, 10 classes, thickness, slant, width; w = 2, dpm")
    assert fast == "mnist_fast: 28 x 28 x 1, 10 classes; w = 1, consistency, 1 step"
    assert fast_v2 == "mnist_fast_v2: 28 x 28 x 1, 10 classes; w = 1, consistency, 1 step, temperature 1.1"
    assert fast_v3 == "mnist_fast_v3: 28 x 28 x 1, 10 classes; w = 1, consistency, 1 step, temperature 1.1"
    assert w_of_digit.startswith("mnist_w_of_digit: 28 x 28 x 1, 10 classes; w = 2 1 3 2 2 1 2 2 2 2, dpm")
    assert report.startswith("report: 28 x 28 x 1, 10 classes; w = 3, ddpm")
