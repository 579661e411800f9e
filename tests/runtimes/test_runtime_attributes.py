"""Attributes without Keras: TensorFlow's pictures, whatever is given, and a file that is compared in each attribute."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import keras_ddpm
from export import formats, verify
from keras_ddpm import presets, runtimes
from keras_ddpm.cli.main import main

ROOT = Path(__file__).parents[2]
CASES = [
    {},
    {"thickness": 0.8},
    {"smiles": 1.0, "slant": -0.3},
    {"thickness": [0.0, 0.5, 1.0], "slant": [-1.0, 1.0, 0.2], "smiles": [1.0, 0.0, 0.4]},
]


def writable(runtime):
    """Whether all that writes and reads a format is installed."""
    try:
        formats.check_format(runtime)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def preset(attributes_preset, tmp_path_factory):
    """The small preset with attributes, its LiteRT file beside the weights."""
    folder = shutil.copytree(attributes_preset, tmp_path_factory.mktemp("lite") / "small")
    formats.export(folder, "litert")
    return folder


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "openvino" else ())
        for name in filter(writable, runtimes.ENGINES)
    ],
)
def test_a_picture_is_tensorflows_with_attributes_and_without(preset, runtime):
    if runtime != "litert":
        formats.export(preset, runtime)
    drawn = []
    for case in CASES:
        asked = {"w": [2.0, 1.0, 0.0], "seed": [1, 2, 2**40], "preset": preset, **case}
        drawn.append(keras_ddpm.sample([7, 3, 7], runtime=runtime, **asked).astype(int))
        assert np.abs(drawn[-1] - keras_ddpm.sample([7, 3, 7], **asked)).max() <= 1
    assert len({images[0].tobytes() for images in drawn}) == len(CASES)
    alone = keras_ddpm.sample(7, seed=1, thickness=0.8, preset=preset, runtime=runtime)
    assert alone.shape == (28, 28) and np.abs(alone - drawn[1][0]).max() <= 1


def test_the_command_draws_attributes_and_imports_neither_keras_nor_tensorflow(preset, tmp_path):
    for name in ("keras", "tensorflow"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    out = tmp_path / "7.npz"
    command = f"sample 7 --seed 5 --attributes thickness 0.8 slant -0.3 --runtime litert --preset {preset} --out {out}"
    done = subprocess.run(
        [sys.executable, "-m", "keras_ddpm", *command.split()],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    expected = keras_ddpm.sample([7], seed=5, thickness=0.8, slant=-0.3, preset=preset).astype(int)
    assert np.abs(np.load(out)["images"][..., 0] - expected).max() <= 1


def test_a_bad_attribute_on_the_command_line_is_one_line(preset, tmp_path, capsys):
    command = f"sample 7 --attributes thickness 1.5 --runtime litert --preset {preset} --out {tmp_path / '7.png'}"
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    assert stop.value.code == 2 and list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == "error: `thickness` must be in 0..1. Received: 1.5\n"


def test_a_drawer_refuses_an_attribute_that_its_network_does_not_know(preset):
    drawer = runtimes.load(preset, "litert")
    with pytest.raises(ValueError, match=r"`others` must be of \['label', .*Received: \['thicknes'\]"):
        drawer.images([7], np.ones(1, "float32"), np.zeros(1, "int64"), thicknes=0.8)


def test_the_json_has_the_attributes_and_their_ranges(preset):
    found = json.loads((preset / "network.litert.json").read_text())
    assert found["attributes"] == {"thickness": [0.0, 1.0], "slant": [-1.0, 1.0], "smiles": [0.0, 1.0]}


@hypothesis.given(st.integers(1, 40), st.sampled_from([formats.COMPARED, 64]))
def test_what_is_compared_has_each_attribute_in_some_rows_and_lacks_it_in_others_and_no_two_are_alike(number, count):
    ranges = {f"attribute_{i}": (-1.0, 2.0) for i in range(number)}
    rows = verify.attribute_rows(ranges, count)
    assert list(rows) == list(ranges)
    for values in rows.values():
        given = ~np.isnan(values)
        assert values.shape == (count,) and values.dtype == np.float32 and given.any() and not given.all()
        assert values[given].min() >= -1 and values[given].max() <= 2
    assert len({values.tobytes() for values in rows.values()}) == number


def swapped(request):
    return request | {"thickness": request["smiles"], "smiles": request["thickness"]}


def left_out(request):
    return request | {"smiles": np.full_like(request["smiles"], np.nan)}


def zero_if_not_given(request):
    return request | {"slant": np.nan_to_num(request["slant"])}


def test_a_file_that_takes_an_attribute_otherwise_is_not_kept(attributes_preset):
    generator, config = presets.load_preset(attributes_preset), presets.read_config(attributes_preset)[0]

    class Changed:
        def __init__(self, change):
            self.change = change

        def images(self, **request):
            return verify.drawn(generator, self.change(request))

    formats.compare(Changed(dict), generator, config)
    for change in (swapped, left_out, zero_if_not_given):
        with pytest.raises(ValueError, match="draws other images than"):
            formats.compare(Changed(change), generator, config)
