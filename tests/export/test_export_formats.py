"""python -m export --format: each file draws what Python draws, says what it is, and is written completely or not."""

import hashlib
import importlib.util
import json

import numpy as np
import pytest

import keras_ddpm
from export import __main__ as command
from export import formats
from keras_ddpm import presets
from keras_ddpm.runtimes import ENGINES, files

NEEDED = {"litert": "ai_edge_litert", "onnx": "tf2onnx", "openvino": "openvino"}
INSTALLED = [name for name in ENGINES if all(map(importlib.util.find_spec, (NEEDED[name], ENGINES[name].module)))]


def test_litert_is_among_the_formats_that_are_tested():
    assert "litert" in INSTALLED


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=pytest.mark.slow if name == "openvino" else ()) for name in INSTALLED]
)
def test_a_format_draws_what_python_draws_from_its_folder_alone(small_preset, tmp_path, capsys, runtime):
    command.main(
        f"--format {runtime} --preset {small_preset} --out {tmp_path / 'out'} --steps 3 --w 3 --temperature 1.3".split()
    )
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / f"network.{runtime}.json")
    names = {*files.names(runtime), f"network.{runtime}.json", "config.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    drawn = keras_ddpm.sample([3, 7], seed=[1, 2], preset=tmp_path / "out", runtime=runtime)
    expected = keras_ddpm.sample([3, 7], 3.0, seed=[1, 2], steps=3, temperature=1.3, preset=small_preset)
    assert np.abs(drawn.astype(int) - expected).max() <= 1


@pytest.mark.slow
def test_the_json_says_what_the_file_is(small_preset, tmp_path):
    formats.export(small_preset, "litert", out=tmp_path)
    found = json.loads((tmp_path / "network.litert.json").read_text())
    content = (tmp_path / "network.tflite").read_bytes()
    assert found["weights_sha256"] == presets.fingerprint(small_preset)
    assert found["files"] == {"network.tflite": hashlib.sha256(content).hexdigest()}
    assert found["preset"] == "small" and found["image_shape"] == [28, 28, 1] and found["null_label"] == 10
    assert "attributes" not in found
    generator = presets.load_preset(small_preset)
    np.testing.assert_array_equal(found["steps"]["columns"], generator.columns)
    np.testing.assert_array_equal(found["steps"]["t"], generator.times)


@pytest.mark.slow
def test_a_network_that_draws_otherwise_is_not_kept(small_preset, tmp_path, monkeypatch):
    write = formats.write

    def write_another(network, runtime, folder):
        before = network.get_weights()
        network.set_weights([1.1 * weight for weight in before])
        write(network, runtime, folder)
        network.set_weights(before)

    monkeypatch.setattr(formats, "write", write_another)
    with pytest.raises(ValueError, match=r"draws other images than keras_ddpm.sample: .* grey levels"):
        formats.export(small_preset, "litert", out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--format", "litert", "--steps", "3"], "['steps'] would not be kept"),
        (["--format", "litert", "--steps", "0", "--out", "out"], "`steps` must be an integer in 1..50"),
        (["--format", "litert", "--every", "3"], "`every`, `xla` and `if_changed` are for `format` savedmodel"),
        (["--format", "litert", "--out", "/proc/models"], "Cannot write to the folder '/proc/models'"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_status_2(
    small_preset, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        command.main([*arguments, "--preset", str(small_preset)])
    error = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and error.startswith("error: ") and message in error
    assert not list(tmp_path.iterdir())


def test_the_folder_of_another_preset_is_left_alone(small_preset, tmp_path):
    (tmp_path / presets.WEIGHTS).touch()
    with pytest.raises(ValueError, match="`out` must not be the folder of another preset"):
        formats.export(small_preset, "litert", out=tmp_path)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(formats.WRITERS, "onnx", ("no_such_package",))
    with pytest.raises(ValueError, match="needs more: pip install no_such_package"):
        formats.check_format("onnx")
