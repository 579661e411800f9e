"""Training from the command line: a short real one, interrupted, killed and resumed, and drawn from."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import CTRL_C_ENDS, after

import keras_ddpm
from keras_ddpm.cli import interrupt
from keras_ddpm.cli.main import main
from keras_ddpm.cli.train import parse_training, shipped
from keras_ddpm.config import Config, recipe_to_json, to_json

ROOT = Path(__file__).parents[2]


def train(out, *flags, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs):
    command = after(CTRL_C_ENDS, [sys.executable, "train.py", "--config", "tiny", "--out", out, *flags])
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=stdout, stderr=stderr, text=True, **kwargs)


@pytest.fixture(scope="module")
def npz(mnist, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    arrays = {f"{letter}_{split}": a for split, pair in mnist.items() for letter, a in zip("xy", pair)}
    np.savez(path, **arrays)
    return path


def test_a_short_real_training_learns_and_leaves_a_preset(npz, tmp_path):
    out = tmp_path / "run"
    process = train(out, "--dataset", str(npz), "--train-images", "6400", "--epochs", "3", "--grid-every", "3")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    lines = [line for line in output.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 3 and "about" in lines[0] and "\b" not in output and "\x1b" not in output
    rows = list(csv.DictReader((out / "log.csv").open()))
    losses = [float(row["val_loss"]) for row in rows]
    assert len(rows) == 3 and losses[-1] < 0.75 * losses[0] and losses[-1] < 0.5
    assert {f"val_loss_q{q}" for q in (1, 2, 3, 4)} <= set(rows[0])
    written = {str(path.relative_to(out)) for path in out.rglob("*.*") if "tensorboard" not in path.parts}
    assert {"config.json", "network.weights.h5", "state.weights.h5", "loss.png", "grids/epoch_003.png"} <= written
    assert not [name for name in written if "partial" in name]
    assert keras_ddpm.sample([1, 2], seed=0, preset=out).shape == (2, 28, 28)


@pytest.mark.slow
def test_a_killed_run_continues_where_its_last_epoch_ended(npz, tmp_path):
    flags = ["--dataset", str(npz), "--train-images", "2560", "--validation-images", "200", "--grid-every", "0"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    quiet = {"stdout": subprocess.DEVNULL}
    assert train(undisturbed, *flags, "--epochs", "4", **quiet).wait(300) == 0
    process = train(killed, *flags, "--epochs", "4", start_new_session=True, **quiet)
    while not (killed / "log.csv").exists() or (killed / "log.csv").read_text().count("\n") < 3:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert train(killed, "--resume", **quiet).wait(300) == 0
    ours, theirs = (list(csv.DictReader((out / "log.csv").open())) for out in (undisturbed, killed))
    assert [row["epoch"] for row in ours] == [row["epoch"] for row in theirs] == ["0", "1", "2", "3"]
    assert float(ours[-1]["val_loss"]) == pytest.approx(float(theirs[-1]["val_loss"]), rel=1e-3)


@pytest.mark.slow
def test_an_interrupted_training_says_how_to_resume_and_does(npz, tmp_path):
    out = tmp_path / "run"
    flags = ("--dataset", str(npz), "--train-images", "2560", "--validation-images", "200", "--grid-every", "0")
    process = train(out, *flags, "--epochs", "3")
    while not (out / "state.weights.h5").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=2)
    last = output.splitlines()[-1]
    assert process.returncode == 130 and "Traceback" not in output
    assert last == f"interrupted. Continue with: python train.py --out {out} --resume"
    assert train(out, "--resume").wait(300) == 0
    assert [row["epoch"] for row in csv.DictReader((out / "log.csv").open())] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--dataset", "none.npz"), "TFDS_DATA_DIR"),
        pytest.param(("--sampler", "euler"), "`sampler` must be one of", marks=pytest.mark.slow),
        pytest.param(("--w", "1", "2"), "`w` must be finite: one number, or one for each", marks=pytest.mark.slow),
    ],
)
def test_bad_input_is_one_line_before_any_work_and_leaves_no_folder(tmp_path, npz, flags, message):
    process = train(tmp_path / "runs" / "run", "--dataset", str(npz), *flags, stderr=subprocess.PIPE)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2 and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_shipped_configuration_goes_by_its_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"mnist", "report", "tiny"} <= set(shipped())
    config, out, resume, _ = parse_training("", ["--config", "tiny", "--epochs", "7"])
    assert (config.name, config.training.epochs, out, resume) == ("tiny", 7, Path("runs/tiny"), False)
    assert parse_training("", [])[0] == Config()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["state.weights.h5", "network.weights.h5"])
def test_a_run_is_not_overwritten(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"holds a run already\. Continue it with --resume"):
        parse_training("", ["--out", str(tmp_path)])


def test_a_run_is_resumed_with_its_own_configuration(tmp_path):
    (tmp_path / "config.json").write_text(to_json(Config(name="other")))
    (tmp_path / "state.weights.h5").touch()
    config, out, resume, _ = parse_training("", ["--out", str(tmp_path), "--resume"])
    assert (config.name, out, resume) == ("other", tmp_path, True)
    with pytest.raises(ValueError, match=r"holds a run already\. Continue it with --resume"):
        parse_training("", ["--out", str(tmp_path)])


def test_a_recipe_has_its_stages_and_options_reach_them(tmp_path):
    args = ["--config", "mnist_fast", "--out", str(tmp_path), "--epochs", "3", "--dataset", "digits.npz"]
    stages, out, *_ = parse_training("", [*args, "--depths", "2", "3"])
    assert [stage.name for stage in stages] == ["diffusion", "consistency", "mnist_fast"] and out == tmp_path
    assert {stage.data.dataset for stage in stages} == {"digits.npz"}
    assert {stage.network.depths for stage in stages} == {(2, 3)}
    assert stages[2].training.epochs == 3 != stages[0].training.epochs
    assert stages[0].sampling.steps == 20 and stages[2].sampling.steps == 1


def test_a_recipe_is_resumed_with_its_own_stages_and_not_overwritten(tmp_path):
    stages = (Config(name="one"), Config(name="two"))
    (tmp_path / "recipe.json").write_text(recipe_to_json(stages))
    with pytest.raises(ValueError, match=r"holds a run already\. Continue it with --resume"):
        parse_training("", ["--out", str(tmp_path)])
    assert parse_training("", ["--out", str(tmp_path), "--resume"])[0] == stages


@pytest.mark.parametrize(
    "args, message",
    [
        (
            "--config nothing.py",
            r"must be a Python file, or one of \['autoencoder', 'canvas_autoencoder', 'canvas_latent', 'canvas_mnist', "
            r"'colour_mnist', 'digits_8x8', 'mnist', 'mnist_attributes', 'mnist_fast', 'mnist_fast_v3', "
            r"'mnist_latent', 'report', 'tiny'\]",
        ),
        ("--config fails.py", r"must be a Python file with get_config\(\): ZeroDivisionError"),
        ("--config empty.py", r"must be a Python file with get_config\(\): KeyError"),
        ("--config wrong.py", r"must return a keras_ddpm.Config, or a tuple of them. Received: 3"),
        ("--resume --out nothing", "There is no run to resume in 'nothing'"),
        ("--resume", "There is no run to resume in 'runs/mnist'"),
        ("--out /proc/run", "Cannot write to the folder '/proc/run'"),
        ("--out fails.py", "Cannot write to the folder 'fails.py'"),
    ],
)
def test_a_training_that_cannot_start_is_one_line_and_writes_nothing(args, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {"fails.py": "1 / 0", "empty.py": "", "wrong.py": "def get_config():\n    return 3\n"}
    for name, text in files.items():
        Path(name).write_text(text)
    with pytest.raises((ValueError, OSError), match=message):
        parse_training("", args.split())
    with pytest.raises(SystemExit) as stop:
        main(["train", *args.split()])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_ctrl_c_says_how_to_resume_only_if_there_is_something_to(tmp_path):
    parse_training("", ["--out", str(tmp_path)], program="keras-ddpm train")
    assert interrupt.line() == "interrupted. No epoch was finished, so there is nothing to resume."
    (tmp_path / "state.weights.h5").touch()
    assert interrupt.line() == f"interrupted. Continue with: keras-ddpm train --out {tmp_path} --resume"
