"""Sampling in one line: shapes, seeds, and one clear error for everything that cannot be drawn."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from conftest import randomise, replace_section

import keras_ddpm
from keras_ddpm import presets
from keras_ddpm.saving.weights import write_weights


@pytest.fixture(scope="module")
def sample(small_preset):
    return lambda *args, **kwargs: keras_ddpm.sample(*args, **{"preset": small_preset, **kwargs})


@pytest.mark.parametrize(
    "arguments, shape",
    [
        ({"digit": 3}, (28, 28)),
        ({"digit": [3]}, (1, 28, 28)),
        ({"digit": 3, "w": [0.0, 2.0]}, (2, 28, 28)),
        ({"digit": np.arange(3), "w": 1, "seed": 5}, (3, 28, 28)),
        ({"digit": 3, "seed": np.arange(4)}, (4, 28, 28)),
        ({"digit": [[1], [2]], "w": [0.5, 1.0, 2.0]}, (2, 3, 28, 28)),
    ],
)
def test_arguments_broadcast_like_numpy(sample, arguments, shape):
    images = sample(**arguments)
    assert images.shape == shape and images.dtype == np.uint8


def test_scalars_and_arrays_give_the_same_picture(sample):
    alone = sample(7, 2.0, seed=11).astype(int)
    assert np.abs(sample([1, 7, 3], 2.0, seed=[4, 11, 2])[1] - alone).max() <= 1


def test_without_a_seed_every_picture_is_new(sample):
    a, b = sample([3, 3]), sample([3, 3])
    assert len({image.tobytes() for image in (*a, *b)}) == 4


def test_the_seeds_that_were_drawn_are_returned_and_draw_the_same_again(sample):
    images, seeds = sample([[3], [7]], [1.0, 2.0], return_seeds=True)
    assert seeds.shape == (2, 2) and seeds.dtype == np.int64 and len(set(seeds.ravel())) == 4
    np.testing.assert_array_equal(sample([[3], [7]], [1.0, 2.0], seed=seeds), images)
    image, seed = sample(3, return_seeds=True)
    np.testing.assert_array_equal(sample(3, seed=int(seed)), image)


@pytest.mark.parametrize(
    "asked, preset",
    [
        ({}, "mnist_fast_v2"),
        ({"w": 2.0}, "mnist"),
        ({"steps": 5}, "mnist"),
        ({"sampler": "ddim", "steps": 4}, "mnist"),
        ({"temperature": 0.9}, "mnist_fast_v2"),
    ],
)
def test_without_a_preset_one_call_draws_unless_more_is_asked_for(asked, preset):
    expected = keras_ddpm.sample([7, 3], seed=[42, 1], preset=preset, **asked)
    np.testing.assert_array_equal(keras_ddpm.sample([7, 3], seed=[42, 1], **asked), expected)


def test_without_a_preset_a_guide_moves_the_model_of_many_calls(monkeypatch):
    def load(preset, **chosen):
        raise LookupError(preset)

    monkeypatch.setattr(keras_ddpm.api, "load", load)
    with pytest.raises(LookupError, match=r"^mnist$"):
        keras_ddpm.sample(7, guide="clip")


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf"), "warm", [1.0]])
def test_a_temperature_must_be_finite_and_above_0(sample, temperature):
    with pytest.raises(ValueError, match=r"`temperature` must be a finite number above 0\. Received: "):
        sample(3, temperature=temperature)


@pytest.mark.parametrize("weights", ["itself", 7, ["mnist"]])
def test_weights_that_lead_back_or_nowhere_are_named(small_preset, tmp_path, weights):
    text = json.loads((small_preset / "config.json").read_text())
    text["weights"] = str(tmp_path) if weights == "itself" else weights
    (tmp_path / "config.json").write_text(json.dumps(text))
    with pytest.raises(ValueError, match=r"`weights` in .* must name a preset that has weights"):
        keras_ddpm.sample(3, preset=tmp_path)


def test_w_none_is_the_presets_own(sample):
    np.testing.assert_array_equal(sample(3, seed=1), sample(3, 2.0, seed=1))
    assert not np.array_equal(sample(3, seed=1), sample(3, 0.0, seed=1))


def test_a_preset_may_have_a_w_for_each_digit_and_another_presets_weights(small_preset, tmp_path):
    text = json.loads((small_preset / "config.json").read_text())
    of_digit = np.linspace(0, 4, 10)
    text["sampling"]["w"], text["weights"] = of_digit.tolist(), str(small_preset)
    (tmp_path / "config.json").write_text(json.dumps(text))
    own = keras_ddpm.sample([3, 9, 3], seed=[1, 2, 3], preset=tmp_path)
    told = keras_ddpm.sample([3, 9, 3], of_digit[[3, 9, 3]], seed=[1, 2, 3], preset=small_preset)
    np.testing.assert_array_equal(own, told)
    text["sampling"]["w"] = [1.0, 2.0]
    (tmp_path / "config.json").write_text(json.dumps(text))
    with pytest.raises(ValueError, match=r"one for each of 10 classes. Received: \(1.0, 2.0\)"):
        keras_ddpm.sample(3, preset=tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"digit": 10}, r"`digit` must be in 0\.\.9.*Received: 10"),
        ({"digit": -1}, "`digit` must be in"),
        ({"digit": 3.0}, "`digit` must be in"),
        ({"digit": True}, "`digit` must be in"),
        ({"digit": "3"}, "`digit` must be in"),
        ({"digit": [1, 2, 12]}, "`digit` must be in"),
        ({"digit": 3, "w": float("nan")}, "`w` must be finite"),
        ({"digit": 3, "w": [1.0, float("inf")]}, "`w` must be finite"),
        ({"digit": 3, "w": "strong"}, "`w` must be finite"),
        ({"digit": 3, "w": 1e300}, "`w` must be finite"),
        ({"digit": 3, "seed": -1}, r"`seed` must be in 0\.\.2\^63 - 1"),
        ({"digit": 3, "seed": 2**63}, "`seed` must be in"),
        ({"digit": 3, "seed": 2**70}, "`seed` must be in"),
        ({"digit": 3, "seed": 1.5}, "`seed` must be in"),
        ({"digit": []}, "at least one number"),
        ({"digit": np.array([], int)}, "at least one number"),
        ({"digit": 3, "w": []}, "at least one number"),
        ({"digit": [1, 2], "seed": [1, 2, 3]}, "must broadcast together"),
        ({"digit": 3, "steps": 0}, r"`steps` must be an integer in 1\.\.50"),
        ({"digit": 3, "steps": 51}, "`steps` must be"),
        ({"digit": 3, "steps": 2.5}, "`steps` must be"),
        ({"digit": 3, "steps": True}, "`steps` must be"),
        (
            {"digit": 3, "sampler": "euler"},
            r"`sampler` must be one of \['consistency', 'ddim', 'ddpm', 'dpm_solver_pp_2m',",
        ),
        ({"digit": 3, "preset": 7}, "`preset` must be one of.*Received: 7"),
        ({"digit": 3, "preset": "nowhere"}, r"`preset` must be one of \['colour_mnist', 'mnist'.*Received: 'nowhere'"),
    ],
)
def test_what_cannot_be_drawn_is_named(sample, arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(**arguments)


def damaged(small_preset, tmp_path, change):
    folder = tmp_path / "preset"
    shutil.copytree(small_preset, folder)
    change(folder)
    return folder


def test_a_folder_that_is_called_like_a_shipped_preset_is_itself(small_preset, tmp_path, monkeypatch):
    shutil.copytree(small_preset, tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    own = keras_ddpm.sample(3, seed=1, preset=small_preset)
    for preset in (pathlib.Path("mnist"), "./mnist"):
        np.testing.assert_array_equal(keras_ddpm.sample(3, seed=1, preset=preset), own)
    assert presets.find("mnist") == presets.SHIPPED / "mnist"


def test_weights_of_another_architecture_are_named(small_preset, tmp_path):
    def widen(folder):
        text = json.loads((folder / "config.json").read_text())
        text["network"]["widths"] = [16, 32]
        (folder / "config.json").write_text(json.dumps(text))

    with pytest.raises(ValueError, match="do not fit this network"):
        keras_ddpm.sample(3, preset=damaged(small_preset, tmp_path, widen))


def test_truncated_and_missing_weights_are_named(small_preset, tmp_path):
    def truncate(folder):
        whole = (folder / presets.WEIGHTS).read_bytes()
        (folder / presets.WEIGHTS).write_bytes(whole[:1000])

    folder = damaged(small_preset, tmp_path, truncate)
    with pytest.raises(ValueError, match="damaged or truncated"):
        keras_ddpm.sample(3, preset=folder)
    (folder / presets.WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match="no weights file"):
        keras_ddpm.sample(3, preset=folder)


def test_a_damaged_configuration_is_named(small_preset, tmp_path):
    folder = damaged(small_preset, tmp_path, lambda folder: (folder / "config.json").write_text('{"name": "x"'))
    with pytest.raises(ValueError, match="no configuration"):
        keras_ddpm.sample(3, preset=folder)


def test_sampling_cannot_be_frozen_into_a_graph(sample):
    import tensorflow as tf

    from keras_ddpm import api

    before = sample(3, seed=1)
    api._cached.cache_clear()
    with pytest.raises(RuntimeError, match="cannot be traced"):
        tf.function(lambda: sample(3))()
    np.testing.assert_array_equal(sample(3, seed=1), before)  # nothing half loaded is kept


def test_new_weights_in_a_folder_are_seen(small_preset, tmp_path):
    folder = damaged(small_preset, tmp_path, lambda folder: None)
    before = keras_ddpm.sample(3, seed=1, preset=folder)
    write_others(folder)
    assert not np.array_equal(keras_ddpm.sample(3, seed=1, preset=folder), before)


def test_new_weights_of_the_weaker_network_are_seen(small_preset, tmp_path):
    folder = damaged(small_preset, tmp_path, lambda folder: shutil.copytree(small_preset, folder / "weak"))
    small, *shape = presets.read_config(folder)
    guided = replace_section(small, "sampling", guidance="autoguidance", weak="weak", w=3.0)
    presets.write_config(folder, guided, *shape)
    picture, fingerprint = keras_ddpm.sample(3, seed=1, preset=folder), presets.fingerprint(folder)
    write_others(folder / "weak")
    assert not np.array_equal(keras_ddpm.sample(3, seed=1, preset=folder), picture)
    assert presets.fingerprint(folder) != fingerprint


def write_others(folder):
    """Write other weights into a preset's folder."""
    network = presets.load_network(folder)
    randomise(network, seed=9)
    write_weights(network, folder / presets.WEIGHTS)
