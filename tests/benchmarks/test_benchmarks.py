"""Benchmarks: each runs in the small, choices look at held-out training images, and errors are one line."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import replace_section

from benchmarks import evaluation, machine, quality, restoration, synthesis
from benchmarks.serving import capacity
from benchmarks.training import speed, time_to_quality
from keras_ddpm import data
from keras_ddpm.evaluation.provenance import processor
from keras_ddpm.shards.dataset import ShardedImages

ROOT = Path(__file__).parents[2]


def run(module, *args):
    return subprocess.run([sys.executable, "-m", module, *args], cwd=ROOT, capture_output=True, text=True)


def split(n):
    """A training split whose image i is filled with i // 100."""
    return data.Dataset(np.repeat(np.arange(n) // 100, 4).reshape(n, 2, 2, 1).astype("uint8"), np.zeros(n, "int32"), 10)


def test_quality_is_judged_against_images_that_training_held_out():
    reference, others = quality.real_images(split(12_000), 2_000)
    assert reference[0].min() >= 70 and others[0].max() < 70
    assert len(reference[0]) == len(others[0]) == 2_000


def test_quality_loads_no_test_images(monkeypatch, capsys):
    asked = []

    def load(dataset, which):
        asked.append(which)
        raise ValueError("enough")

    monkeypatch.setattr(quality.data, "load", load)
    monkeypatch.setattr(sys, "argv", ["quality"])
    with pytest.raises(ValueError, match="enough"):
        quality.main()
    assert asked == ["train"]


def test_more_images_than_were_held_out_are_refused():
    with pytest.raises(ValueError, match=r"`n` must be in 1\.\.5000"):
        quality.real_images(split(12_000), 5_001)


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("default", {}),
        ("ddpm:100:1", {"sampler": "ddpm", "steps": 100, "w": 1.0, "guidance_interval": (0.0, float("inf"))}),
        ("ddim:20:2:0.2:5", {"sampler": "ddim", "steps": 20, "w": 2.0, "guidance_interval": (0.2, 5.0)}),
    ],
)
def test_a_setting_names_fields_of_the_sampling(setting, expected):
    assert quality.parse_setting(setting) == expected


@pytest.mark.parametrize("setting", ["ddpm", "ddpm:1:x", "ddpm:20:1:0.2", "ddpm:20:1:0.2:3:4", ""])
def test_what_is_no_setting_is_refused(setting):
    with pytest.raises(ValueError, match="`settings` must be sampler:steps:w"):
        quality.parse_setting(setting)


def test_the_machine_names_its_processor_as_a_report_does():
    assert machine.describe().startswith(f"{processor()}, ")


@pytest.mark.slow
def test_memory_is_printed_in_mebibytes(small_preset):
    done = run("benchmarks.memory", "--rows", "2", "--steps", "3", "--preset", str(small_preset))
    peak, before = map(int, re.search(r"memory (\d+) MiB, of which (\d+) MiB before", done.stdout).groups())
    assert 100 < before <= peak < 10_000 and done.stderr == ""


@pytest.mark.slow
def test_sampling_is_measured_for_each_batch_size(small_preset):
    done = run(
        "benchmarks.sampling", "--preset", str(small_preset), "--batches", "1", "4", "--seconds", "0", "--no-cold"
    )
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "4"] and all(float(row[1]) > 0 for row in rows)


@pytest.mark.slow
def test_training_is_measured_as_a_bare_step_and_in_fit():
    model, batches = (
        speed.build(speed.CONFIGS["report"], precision="float32", xla=False),
        speed.batches(8, 4),
    )
    before = model.network.get_weights()[0].copy()
    fit, bare = speed.seconds_of_fit(model, batches), speed.seconds_of_step(model, batches, xla=False)
    assert fit > 0 and bare > 0
    assert int(model.optimizer.iterations) == 16 and not np.array_equal(before, model.network.get_weights()[0])


@pytest.mark.slow
@pytest.mark.parametrize("accuracy, lines", [(0.0, 1), (1.0, 2)])
def test_a_training_is_judged_until_it_is_good_enough(accuracy, lines, monkeypatch, capsys):
    shipped = time_to_quality.from_file

    def smaller(name):
        (settings,) = shipped(name)
        settings = replace_section(settings, "data", train_images=64, validation_images=100)
        settings = replace_section(settings, "training", epochs=1, batch_size=32, grid_every=0)
        return (replace_section(settings, "sampling", steps=2),)

    monkeypatch.setattr(time_to_quality, "from_file", smaller)
    flags = f"--configs autoencoder mnist_latent --n 100 --first 1 --epochs 2 --accuracy {accuracy} --recall 0"
    monkeypatch.setattr(sys, "argv", ["time_to_quality", *flags.split()])
    with pytest.raises(SystemExit, match="Not reached") if accuracy else contextlib.nullcontext():
        time_to_quality.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| \d", line)]
    assert [row.split("|")[1].strip() for row in rows] == ["1", "2"][:lines]


def test_an_error_of_a_benchmark_is_one_line():
    done = run("benchmarks.quality", "--preset", "nothing")
    assert done.returncode == 2 and done.stderr.startswith("error: `preset` must be")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_synthesis_is_measured_beside_the_bare_generator(small_preset):
    arguments = synthesis.Arguments(preset=str(small_preset), n=20, shard_size=10, batch=5)
    assert min(synthesis.bare(arguments)) > 0
    wall, processor, size = synthesis.pipeline(arguments, "npz")
    assert wall > 0 and processor > 0 and size > 20 * 28 * 28


def test_a_billion_images_are_calculated_from_seconds_and_bytes():
    arguments = synthesis.Arguments(price=0.05, link=8.0, cores=100)
    text = synthesis.billion(arguments, generator=0.0009, whole=0.001, size=500)
    assert "278 core-hours (1.00 core-ms an image): $14" in text and "500 GB (500 bytes an image)" in text
    assert "2.8 hours on 100 cores, which write 50.0 MB/s; 2,000 cores fill 8 Gbit/s" in text
    assert "generator is 90% of it" in text and "a generator 9 times as fast" in text


def test_the_data_set_of_the_evaluation_benchmark_has_the_images_it_says(tmp_path):
    arrays = {f"{name}_train": np.zeros(shape, "uint8") for name, shape in (("x", (20, 28, 28, 1)), ("y", 20))}
    np.savez(tmp_path / "data.npz", **arrays)
    arguments = evaluation.Arguments(shard_size=10, format="npz", dataset=str(tmp_path / "data.npz"))
    evaluation.write(tmp_path, arguments, 70)
    found = ShardedImages(tmp_path)
    assert len(found) == 70 and sum(len(batch.labels) for batch in found.batches()) == 70


@pytest.mark.parametrize("damage", ["half", "thick", "thin", "expand", "every second line", "nearest 2x", "scale 2"])
def test_a_damage_leaves_a_part_and_the_nearest_image_in_it_is_the_image_itself(damage, monkeypatch):
    monkeypatch.setattr(restoration, "NEIGHBOURS", 1)
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), dtype="uint8")
    left, given = restoration.damaged(images[..., 0], damage)
    if "mask" in given:
        shares = given["mask"].mean(axis=(1, 2))
        assert 0.05 < shares.min() <= shares.max() < 0.8
        np.testing.assert_array_equal(left[~given["mask"]], images[..., 0][~given["mask"]])
    found = restoration.nearest(left, given, data.Dataset(images, np.arange(9), 10))
    assert found.tolist() == list(range(9))


def test_psnr_is_that_of_the_mean_squared_error_in_decibel():
    black = np.zeros((2, 28, 28), "uint8")
    assert restoration.psnr(black + np.uint8(255), black) == 0
    assert restoration.psnr(black + np.uint8(51), black) == pytest.approx(20 * np.log10(5))
    assert restoration.psnr(black, black) == pytest.approx(60)


def test_replicas_and_queue_follow_from_the_rate_of_a_core():
    arguments = capacity.Arguments(wanted=10_000, pod_cores=4, utilization=0.5, latency=0.5)
    text = capacity.plan(arguments, per_core=1_000, batch_seconds=0.1, rows=64)
    assert "one pod: 4,000 digits/s at full load, 2,000 at the target" in text
    assert "replicas: 5; if one of them is lost, the others run at 62%" in text
    assert "max_enqueued_batches: 16;" in text
    assert "batch_timeout_micros above 32,000" in text
