"""Laws of training on several devices: it is training on one; processes agree, and end together."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_ddpm.config import Devices
from keras_ddpm.training.distribution import last_words
from keras_ddpm.training.distribution.cluster import first_node, resolve
from keras_ddpm.training.distribution.devices import Share, filled
from keras_ddpm.training.distribution.processes import STATUS, _differences
from keras_ddpm.training.validation import Held

ROOT = Path(__file__).parents[2]
SLURM = {"SLURM_STEP_NODELIST": "a1,a2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_JOB_ID": "7"}


def start(*args, devices=1, backend="jax", **kwargs):
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"  # compiles faster
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen(command, env=environment, **pipes, **kwargs)


def finish(*processes, timeout=300):
    """(status, stdout, stderr) of each process; none outlives the test."""
    try:
        return [(process.returncode, *out) for process in processes for out in [process.communicate(timeout=timeout)]]
    finally:
        for process in processes:
            process.kill()


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def assert_equal_runs(path, other):
    ours, theirs = np.load(path), np.load(other)
    assert set(ours) == set(theirs) and len(ours.files) > 20
    for name in ours:
        if "discriminator" in name and "head" in name and "bias" in name:
            continue  # it shifts all scores alike: its gradient is 0 but for rounding, which Adam scales up
        np.testing.assert_allclose(theirs[name], ours[name], atol=1e-5, rtol=1e-5, err_msg=name)


def steps(objective, folder, counts):
    """The files that `replicas.py` writes for each number of devices in one process."""
    names = ",".join(map(str, counts))
    done = start("tests/training/replicas.py", objective, folder / "N.npz", names, devices=max(counts))
    ((status, _, error),) = finish(done)
    assert status == 0, error[-2000:]
    return [folder / f"{count}.npz" for count in counts]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """The folder of two steps on 0 (without a distribution) and 3 devices.

    Weights, average, optimizer, random state, metrics, and a validation whose last batch cannot be split evenly.
    """
    folder = tmp_path_factory.mktemp("steps")
    steps("diffusion", folder, (0, 3))
    return folder


@pytest.mark.slow
def test_steps_on_three_devices_are_the_steps_on_one(one_device):
    assert_equal_runs(one_device / "0.npz", one_device / "3.npz")


@pytest.mark.slow
def test_steps_on_two_and_on_four_devices_are_the_steps_on_one(one_device, tmp_path):
    for path in steps("diffusion", tmp_path, (2, 4)):
        assert_equal_runs(one_device / "0.npz", path)


def in_processes(count, folder):
    address = free_address()
    script = ("tests/training/replicas.py", "diffusion")
    started = [start(*script, folder / f"{p}.npz", "all", address, count, p) for p in range(count)]
    for status, out, error in finish(*started):
        assert status == 0 and "Gloo" not in out, error[-2000:]
    return [folder / f"{p}.npz" for p in range(count)]


@pytest.mark.slow
def test_steps_in_two_processes_are_the_steps_in_one(one_device, tmp_path):
    for path in in_processes(2, tmp_path):
        assert_equal_runs(one_device / "0.npz", path)


@pytest.mark.slow
def test_steps_in_three_processes_are_the_steps_in_one(one_device, tmp_path):
    for path in in_processes(3, tmp_path):
        assert_equal_runs(one_device / "0.npz", path)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["consistency", "adversarial"])
def test_steps_of_a_few_step_objective_on_several_devices_are_the_steps_on_one(objective, tmp_path):
    one, *others = steps(objective, tmp_path, (0, 2, 3))
    for path in others:
        assert_equal_runs(one, path)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A Python file with the configuration of a training that takes a moment."""
    folder, random = tmp_path_factory.mktemp("config"), np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 8, 8, 1)).astype("uint8"), np.arange(60) % 3
    np.savez(folder / "toy.npz", x_train=images, y_train=labels, x_test=images[:3], y_test=labels[:3])
    (folder / "toy.py").write_text(
        "from keras_ddpm.config import *\n\n\ndef get_config():\n"
        f"    data = DataConfig(dataset={str(folder / 'toy.npz')!r}, validation_images=20)\n"
        "    network = NetworkConfig(widths=(4,), depths=(1,), attention=(False,), embed_dim=8, groups=2)\n"
        "    training = TrainingConfig(batch_size=12, learning_rate_schedule='constant', precision='float32',\n"
        "                              grid_every=0, ema_decay=0.9)\n"
        "    sampling = SamplingConfig(sampler='ddpm', steps=2, guidance_interval=None)\n"
        "    return Config(data=data, network=network, diffusion=DiffusionConfig(T=50), training=training,\n"
        "                  sampling=sampling)\n"
    )
    return folder / "toy.py"


def train(config, out, count, *flags, each=()):
    """`train.py` in as many processes; `each` gives further flags to single ones."""
    common, address = ("train.py", "--config", config, "--out", out, *flags), free_address()
    where = [("--coordinator", address, "--processes", count, "--process", p) for p in range(count)]
    return [start(*common, *where[p], *(each[p] if each else ())) for p in range(count)]


@pytest.mark.slow
def test_a_training_in_parts_has_the_losses_of_a_training_and_resumes_in_others(config, tmp_path):
    for folder, epochs, *flags in (
        ("whole", 3),
        ("parts", 2, "--parts", 2),
        ("parts", 3, "--resume", "--parts", 3),
    ):
        given = ("--config", config) if "--resume" not in flags else ()
        command = ("train.py", *given, "--out", tmp_path / folder, "--epochs", epochs, *flags)
        ((status, _, error),) = finish(start(*command, backend="tensorflow"))
        assert status == 0, error
    whole, parts = (list(csv.DictReader((tmp_path / name / "log.csv").open())) for name in ("whole", "parts"))
    assert len(whole) == len(parts) == 3
    for ours, theirs in zip(parts, whole):
        np.testing.assert_allclose([float(ours[n]) for n in ours], [float(theirs[n]) for n in theirs], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_process_ends_all_with_a_sentence_and_the_run_resumes_on_others(victim, config, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "run"
    ((status, _, error),) = finish(start("train.py", "--config", config, "--out", whole, "--epochs", "4"))
    assert status == 0, error
    processes = train(config, out, 2, "--epochs", "100000")
    while not (out / "log.csv").exists() or (out / "log.csv").read_text().count("\n") < 3:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    processes[victim].send_signal(signal.SIGKILL)
    left = processes[1 - victim]
    lost = time.monotonic()
    ((status, _, error),) = finish(left, timeout=60)
    processes[victim].communicate()
    assert time.monotonic() - lost < 45 and status not in (0, 2) and error.count("\n") == 1
    assert error.startswith(f"error: process {1 - victim} of 2 ends") and "--resume" in error
    rows = len(list(csv.DictReader((out / "log.csv").open())))
    ((status, _, error),) = finish(start("train.py", "--out", out, "--resume", "--epochs", rows + 1, "--devices", "1"))
    assert status == 0, error
    ours, theirs = (list(csv.DictReader((folder / "log.csv").open())) for folder in (out, whole))
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            [float(row[name]) for row in ours[:4]], [float(row[name]) for row in theirs[: len(ours)]], rtol=1e-4
        )


@pytest.mark.slow
def test_processes_that_disagree_say_in_what_before_any_work(config, tmp_path):
    processes = train(config, tmp_path / "run", 2, each=[("--epochs", "1"), ("--epochs", "2")])
    for status, _, error in finish(*processes):
        assert status == 2 and error.count("\n") == 1
        assert "`configuration.training.epochs` is 1 for process 0, 2 for 1" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "asked, environment, expected",
    [
        (Devices(), SLURM, Devices(None, None, 1, 0)),  # not asked for: as before
        (Devices("all"), SLURM, Devices("all", "a1:61447", 2, 1)),
        (Devices("all"), {**SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, Devices("all", None, 1, 0)),
        (Devices("all"), {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}, Devices("all", None, 1, 0)),  # of no step
        (Devices("all"), {"JOB_COMPLETION_INDEX": "3"}, Devices("all", None, 1, 0)),  # a training for each pod
        (Devices(None, "h:1", 4), {"JOB_COMPLETION_INDEX": "3"}, Devices("all", "h:1", 4, 3)),
        (Devices(None, "h:1", 4, 2), SLURM, Devices("all", "h:1", 4, 2)),
        (Devices(2), {}, Devices(2, None, 1, 0)),
    ],
)
def test_which_process_this_is_comes_from_options_then_from_the_environment(asked, environment, expected):
    assert resolve(asked, environment) == expected


@pytest.mark.parametrize(
    "nodes, first", [("n1", "n1"), ("n1,n2", "n1"), ("n[01-04],m", "n01"), ("n[3,5]", "n3"), ("a,n[1-2]", "a")]
)
def test_the_first_node_of_a_slurm_list(nodes, first):
    assert first_node(nodes) == first


@pytest.mark.parametrize(
    "asked, message",
    [
        (lambda: Devices(0), "`devices` must be 'all' or at least 1. Received: 0"),
        (lambda: Devices("some"), "`devices` must be 'all' or at least 1. Received: 'some'"),
        (lambda: Devices(processes=0), "`processes` must be at least 1"),
        (lambda: Devices(process=-1), "`process` must be at least 0"),
        (lambda: Devices(parts=0), "`parts` must be at least 1. Received: 0"),
        (lambda: Devices(None, "h:1"), "need `coordinator`, `processes` and `process`. Received: 'h:1', None, None"),
        (lambda: Devices(None, None, 2, 0), "need `coordinator`, `processes` and `process`"),
        (lambda: Devices(None, "h:1", 2, 2), r"`process` must be in 0\.\.1, below `processes`. Received: 2"),
        (lambda: Devices(None, "h", 2, 0), "`coordinator` must be host:port. Received: 'h'"),
        (lambda: Devices(None, "h:70000", 2, 0), "`coordinator` must be host:port"),
        (lambda: Devices(2, "h:1", 2, 0), "With several processes `devices` must be 'all'"),
    ],
)
def test_devices_that_do_not_fit_are_one_clear_error(asked, message):
    with pytest.raises(ValueError, match=message):
        resolve(asked(), {})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="what TensorFlow is refused")
def test_several_devices_are_refused_on_tensorflow(tmp_path):
    import keras_ddpm

    with pytest.raises(ValueError, match="need the JAX backend: set KERAS_BACKEND=jax"):
        keras_ddpm.train(keras_ddpm.Config(), tmp_path, devices=Devices("all"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--devices", "5"), r"`devices` must be 'all' or in 1..2, the devices that there are. Received: 5"),
        pytest.param(
            ("--devices", "2", "--batch-size", "7"),
            "`batch_size` must be a multiple of the 2 devices. Received: 7",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_devices_that_are_not_there_and_batches_that_cannot_be_split_are_errors(flags, message, config, tmp_path):
    ((status, _, error),) = finish(start("train.py", "--config", config, "--out", tmp_path / "run", *flags, devices=2))
    assert status == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_shares_of_all_processes_are_the_batches_in_one_order():
    arrays = (np.arange(10.0), {"label": np.arange(10)})

    def share(p):
        return Share(Held(arrays, batch_size=6), lambda n: slice(p * n // 3, (p + 1) * n // 3), 3)

    for i in range(2):
        values, labels, weights = zip(*(share(p)[i][0] for p in range(3)))
        kept, expected = np.concatenate(weights) == 1, arrays[0][6 * i : 6 * i + 6]
        np.testing.assert_array_equal(np.concatenate(values)[kept], expected)
        np.testing.assert_array_equal(np.concatenate([label["label"] for label in labels])[kept], expected)
        assert len({len(value) for value in values}) == 1


def test_a_batch_is_filled_up_with_rows_that_count_nothing():
    assert [part.tolist() for part in filled((np.array([5, 6]),), 5)] == [[5, 6, 5, 6, 5], [1, 1, 0, 0, 0]]
    assert [part.tolist() for part in filled((np.array([5, 6]),), 2)] == [[5, 6], [1, 1]]


def test_what_processes_disagree_in_is_named_by_its_path():
    ours, theirs = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}, "d": 3, "e": 0}
    assert list(_differences(ours, theirs)) == [("a.c", 2, 5), ("e", None, 0)]


SPEAKER = """
import os, sys, time
from keras_ddpm.training.distribution.last_words import LastWords
words = LastWords("error: nothing was finished")
words.change("error: lost")
print("said before", file=sys.stderr, flush=True)
os.write(2, b"E1125 02:36:48.462133   27012 service.cc:1520] Barrier has failed\\nand more of it\\n")
{end}
"""
FATAL = 'os.write(2, b"F1125 02:36:48.46 27012 client.h:80] Terminating\\n*** trace ***\\n"); os.abort()'


@pytest.mark.parametrize(
    "end, status, expected",
    [
        (FATAL, -signal.SIGABRT, ["said before", "error: lost"]),
        ("words.end(75)", STATUS, ["said before", "error: lost"]),
        ("words.change(''); words.end(75)", STATUS, ["said before"]),
        ("sys.exit('error: my own')", 1, ["said before", "and more of it", "error: my own"]),
        ("time.sleep(1.5); print('warning', file=sys.stderr)", 0, ["said before", "and more of it", "warning"]),
    ],
)
def test_the_runtimes_last_page_is_one_sentence_and_everything_else_is_forwarded(end, status, expected):
    done = start("-c", SPEAKER.replace("{end}", end))
    ((returned, _, error),) = finish(done)
    assert returned == status and error.splitlines() == expected


def test_the_filter_keeps_what_is_no_log_line():
    written = []
    out = type("Out", (), {"write": written.append, "flush": lambda self: None})()
    filtered = last_words.Filter(out)
    for line in (b"W1125 02:36:48.46 1 x.cc:1] noise\n", b"[Gloo] Rank 0 is connected\n"):
        filtered.line(line)
    filtered.release()
    filtered.line(b"interrupted.\n")
    filtered.finish()
    assert written == [b"interrupted.\n"]
