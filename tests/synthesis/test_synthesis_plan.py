"""The plan: an image depends on its place alone, class counts are exact, and bad arguments are errors at once."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.synthesis import api, plan

GIVEN = {
    "n": 100,
    "format": "npz",
    "shard_size": 30,
    "proportions": None,
    "w": None,
    "sampler": None,
    "steps": None,
    "temperature": None,
    "seed": 0,
    "batch": 8,
    "runtime": None,
    "min_confidence": None,
    "judge": None,
    "min_distance": None,
}


def make(preset, **changed):
    return api.plan(preset, **{**GIVEN, **changed})


@pytest.mark.parametrize("n", [1, 7, 10, 97, 1000, 12_345])
@pytest.mark.parametrize("shares", [(0.1,) * 10, (0.5, 0.25, 0.125, 0.125) + (0,) * 6, (0, 1) + (0,) * 8])
def test_classes_have_exactly_their_share(small_preset, n, shares):
    made = dataclasses.replace(make(small_preset), n=n, proportions=shares)
    counts = np.bincount(made.digits(np.arange(n)), minlength=10)
    assert counts.sum() == n and np.all(np.abs(counts - n * np.array(shares)) < 1)


def test_a_digit_follows_from_its_place_alone(small_preset):
    made = make(small_preset, n=1000)
    places = np.random.default_rng(0).permutation(1000)
    np.testing.assert_array_equal(made.digits(places), made.digits(np.arange(1000))[places])


def test_any_run_of_images_has_nearly_the_shares_of_all(small_preset):
    digits = make(small_preset, n=100_000, shard_size=1000).digits(np.arange(100_000))
    runs = np.array([np.bincount(run, minlength=10) for run in digits.reshape(-1, 1000)])
    assert np.abs(runs - 100).max() <= 5


def test_two_to_the_31_images_do_not_overflow(small_preset):
    made = dataclasses.replace(make(small_preset), n=plan.MOST)
    last = np.arange(plan.MOST - 1000, plan.MOST)
    exact = [place * plan.stride(plan.MOST) % plan.MOST * 10 // plan.MOST for place in last.tolist()]
    assert made.digits(last).tolist() == exact


def test_shards_are_runs_of_seeds_that_cover_all(small_preset):
    made = make(small_preset)
    assert [made.rows(i) for i in range(made.shards)] == [(0, 30), (30, 60), (60, 90), (90, 100)]
    assert made.file(2) == "train-00002-of-00004.npz"


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"n": 0}, r"`n` must be an integer in 1..2147483648. Received: 0"),
        ({"n": 1.5}, "`n` must be an integer"),
        ({"shard_size": 0}, "`shard_size` must be an integer in 1"),
        ({"n": 10**6, "shard_size": 1}, "`shard_size` must be at least 11"),
        ({"batch": 257}, r"`batch` must be an integer in 1\.\.256. Received: 257"),
        ({"format": "jpeg"}, r"`format` must be one of \['npz', 'parquet', 'png', 'tfrecord'\]. Received: 'jpeg'"),
        ({"proportions": (0.5, 0.5)}, "`proportions` must be 10 numbers"),
        ({"proportions": (0.2,) * 10}, "`proportions` must sum to 1. Received: .*, which sum to 2"),
        ({"proportions": (-0.1, 0.2) + (0.1125,) * 8}, "`proportions` must be 10 numbers, at least 0"),
        ({"seed": -1}, "`seed` must be"),
        ({"seed": 2**63 - 50}, "`seed` must be"),
        ({"w": float("nan")}, "`w` must be finite"),
        ({"steps": 0}, "`steps` must be"),
        ({"min_confidence": 1.5}, r"`min_confidence` must be in \(0, 1\]. Received: 1.5"),
        ({"min_distance": 0.0}, r"`min_distance` must be in \(0, 1\]"),
        ({"judge": "a"}, "`judge` does nothing without `min_confidence`"),
        ({"judge": "a", "min_confidence": 0.5}, r"`judge` must be a folder with classifier\.json.*Received: 'a'"),
        ({"runtime": "litert"}, "litert"),
        ({"runtime": "torch"}, "torch"),
    ],
)
def test_what_cannot_be_drawn_is_named(small_preset, changed, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make(small_preset, **changed)


def test_a_temperature_is_the_presets_or_the_one_that_is_asked_for(served_preset):
    assert (make(served_preset).temperature, make(served_preset, temperature=1.4).temperature) == (1.1, 1.4)
    with pytest.raises(ValueError, match="`temperature` must be a finite number above 0"):
        make(served_preset, temperature=0.0)


def test_training_images_that_are_not_there_are_named_first(small_preset, monkeypatch):
    def missing(dataset, split):
        raise FileNotFoundError(f"Data set {dataset!r} is not here")

    monkeypatch.setattr(api.data, "load", missing)
    with pytest.raises(FileNotFoundError, match="Data set 'mnist' is not here"):
        make(small_preset, min_distance=0.1)


def test_a_folder_that_is_called_like_a_preset_is_meant_by_a_path(small_preset, tmp_path, monkeypatch):
    shutil.copytree(small_preset, tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    made = make(pathlib.Path("mnist"))
    assert made.name == "small" and made.preset == str(tmp_path / "mnist")


def test_settings_tell_what_images_depend_on_and_nothing_of_this_machine(small_preset):
    made = make(small_preset)
    moved = dataclasses.replace(made, preset="/elsewhere")
    assert made.settings() == moved.settings()
    for name in ("n", "shard_size", "seed", "batch", "steps", "temperature"):
        assert dataclasses.replace(made, **{name: 77}).settings() != made.settings()
    assert str(small_preset) not in str(made.settings()) and set(FORMATS) >= {made.settings()["format"]}
