"""train.py as a command: one short real training, killed and resumed, and drawn from."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import keras_ddpm

ROOT = Path(__file__).parent.parent


def train(out, *flags, stdout=subprocess.PIPE, **kwargs):
    command = [sys.executable, "train.py", "--config", "configs/tiny.py", "--out", str(out), *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout, stderr=subprocess.STDOUT, text=True, **kwargs)


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
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    quiet = {"stdout": subprocess.DEVNULL}
    assert train(whole, *flags, "--epochs", "4", **quiet).wait(300) == 0
    process = train(killed, *flags, "--epochs", "4", start_new_session=True, **quiet)
    while not (killed / "log.csv").exists() or (killed / "log.csv").read_text().count("\n") < 3:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert train(killed, "--resume", **quiet).wait(300) == 0
    ours, theirs = (list(csv.DictReader((out / "log.csv").open())) for out in (whole, killed))
    assert [row["epoch"] for row in ours] == [row["epoch"] for row in theirs] == ["0", "1", "2", "3"]
    assert float(ours[-1]["val_loss"]) == pytest.approx(float(theirs[-1]["val_loss"]), rel=1e-3)


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--dataset", "none.npz"), "TFDS_DATA_DIR"),
        (("--sampler", "euler"), "`sampler` must be one of"),
        (("--w", "1", "2"), "`w` must be finite: one number, or one for each of 10 classes"),
    ],
)
def test_bad_input_is_named_before_any_work(tmp_path, npz, flags, message):
    process = train(tmp_path / "run", "--dataset", str(npz), *flags)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and message in output and "Traceback" not in output
    assert not list((tmp_path / "run").iterdir())
