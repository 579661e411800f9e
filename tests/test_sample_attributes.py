"""Attributes that are asked for: `sample`, films and the command line draw them, the rest leaves them to the model.

The network has random weights: it answers to what it is told, whatever that looks like.
"""

import inspect

import numpy as np
import pytest

import keras_ddpm
from keras_ddpm import config, presets
from keras_ddpm.cli.main import main


@pytest.fixture
def preset(attributes_preset):
    return attributes_preset


def test_each_attribute_changes_the_picture_and_each_may_be_left_out(preset):
    cases = [{}, {"thickness": 0.8}, {"thickness": 0}, {"slant": -0.3}, {"smiles": 1}, {"smiles": 1, "slant": -0.3}]
    images = [keras_ddpm.sample([7], seed=1, preset=preset, **case) for case in cases]
    assert len({image.tobytes() for image in images}) == len(cases)
    again = keras_ddpm.sample([7], seed=1, preset=preset, thickness=None, slant=-0.3, smiles=1.0)
    np.testing.assert_array_equal(again, images[-1])


def test_attributes_broadcast_and_a_picture_depends_on_its_own_alone(preset):
    slants = np.linspace(-1, 1, 3)
    images = keras_ddpm.sample([[3], [7]], seed=1, preset=preset, slant=slants)
    assert images.shape == (2, 3, 28, 28)
    alone = keras_ddpm.sample(7, seed=1, preset=preset, slant=0.0).astype(int)
    assert np.abs(images[1, 1] - alone).max() <= 1
    assert keras_ddpm.sample(7, preset=preset, slant=slants).shape == (3, 28, 28)


def test_the_best_of_several_has_the_attributes_that_were_asked_for(preset):
    asked = {"preset": preset, "slant": [-1.0, 1.0], "thickness": 0.2}
    images, seeds = keras_ddpm.sample([3, 3], seed=1, best_of=3, judge=darkest, return_seeds=True, **asked)
    again = keras_ddpm.sample([3, 3], seed=seeds, **asked).astype(int)
    assert np.abs(again - images).max() <= 1


def darkest(images, digit):
    return -images.mean(axis=(1, 2, 3))


def test_a_film_ends_in_the_sample(preset):
    asked = {"seed": 1, "preset": preset, "thickness": 0.8, "slant": -0.3}
    last = keras_ddpm.film(7, **asked)[-1].astype(int)
    assert np.abs(last - keras_ddpm.sample(7, **asked)).max() <= 1


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"thicknes": 0.8}, r"`thicknes` is no attribute of this preset: it has \['slant', .*Received: thicknes = 0.8"),
        ({"label": 3}, "`label` is no attribute of this preset"),
        ({"thickness": 1.5}, r"`thickness` must be in 0\.\.1. Received: 1.5"),
        ({"slant": [0.0, -2.0]}, r"`slant` must be in -1\.\.1. Received: -2"),
        ({"slant": float("nan")}, r"`slant` must be in -1\.\.1. Received: nan"),
        ({"slant": float("inf")}, "`slant` must be in"),
        ({"slant": "left"}, "`slant` must be in"),
        ({"slant": []}, "`slant` must hold at least one number"),
        ({"slant": [0.1, 0.2, 0.3]}, "`slant`.*must broadcast together"),
    ],
)
def test_what_cannot_be_asked_for_is_named_before_any_work(preset, asked, message, monkeypatch):
    monkeypatch.setattr(presets, "load_preset", lambda *args, **kwargs: pytest.fail("the preset was loaded"))
    with pytest.raises(ValueError, match=message):
        keras_ddpm.sample([7, 8], preset=preset, **asked)
    with pytest.raises(ValueError, match=message):  # and before the runtime's file is looked for, which is not there
        keras_ddpm.sample([7, 8], preset=preset, runtime="litert", **asked)
    with pytest.raises(ValueError, match=message):
        keras_ddpm.film([7, 8], preset=preset, **asked)


def test_no_attribute_is_called_like_an_argument():
    assert set(inspect.signature(keras_ddpm.sample).parameters) - {"attributes"} <= config.RESERVED


def test_a_preset_without_attributes_says_so():
    with pytest.raises(ValueError, match="`slant` is no attribute of this preset: it has none"):
        keras_ddpm.sample(7, slant=0.1)


@pytest.mark.slow
def test_restoration_and_editing_leave_attributes_to_the_model(preset):
    image, asked = keras_ddpm.sample(7, seed=1, preset=preset), {"preset": preset, "seed": 1}
    mask = np.indices((28, 28))[0] > 13
    restored = keras_ddpm.restore(image, mask=mask, digit=7, steps=2, repeats=1, **asked)
    np.testing.assert_array_equal(restored[~mask], image[~mask])
    assert keras_ddpm.vary(image, 0.9, digit=7, **asked).shape == (28, 28)
    ends = keras_ddpm.interpolate((7, 3), n=2, **asked).astype(int)
    assert np.abs(ends[0] - image).max() <= 1


def test_the_command_draws_attributes(preset, tmp_path):
    out = tmp_path / "a.npz"
    command = f"sample 7 3 --n 2 --seed 5 --attributes thickness 0.8 slant -0.3 --out {out} --preset {preset}"
    main(command.split())
    expected = keras_ddpm.sample([7, 7, 3, 3], seed=[5, 6, 7, 8], preset=preset, thickness=0.8, slant=-0.3)
    np.testing.assert_array_equal(np.load(out)["images"][..., 0], expected)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("thicknes 0.8", "`thicknes` is no attribute of this preset"),
        ("thickness 7", "`thickness` must be in 0..1. Received: 7.0"),
        ("thickness nan", "`thickness` must be in 0..1. Received: nan"),
        ("seed 3", "`attributes` must name attributes of the preset. Received: 'seed'"),
    ],
)
def test_a_bad_attribute_on_the_command_line_is_one_line(preset, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(f"sample 7 --attributes {arguments} --out {tmp_path / 'a.png'} --preset {preset}".split())
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error
    assert list(tmp_path.iterdir()) == []


def test_no_attribute_is_called_like_an_argument_of_a_client():
    from serving.client import Client

    for method in (Client.sample, Client.sample_png, Client.trajectory, Client.submit, Client.denoise):
        named = {p.name for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD}
        assert named - {"self"} <= config.RESERVED
