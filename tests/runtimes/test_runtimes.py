"""Drawing without Keras: the same pictures, the same noise, no import of TensorFlow, one error for each fault."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_ddpm
from export import formats
from keras_ddpm import config, noise, presets, runtimes
from keras_ddpm.data.attributes import conditions_of
from keras_ddpm.runtimes import engines, numpy_ops
from keras_ddpm.runtimes.steps import steps_of

ROOT = Path(__file__).parents[2]
DIGIT, W, SEED = np.arange(7) % 10, np.linspace(0, 4, 7), np.array([0, 1, 1, 2**40, 2**63 - 1, 5, 6])


@pytest.fixture(scope="module")
def preset(small_preset, tmp_path_factory):
    """The small preset with its LiteRT file beside the weights."""
    folder = shutil.copytree(small_preset, tmp_path_factory.mktemp("lite") / "small")
    formats.export(folder, "litert")
    return folder


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset, tmp_path / "copy")


def test_the_bits_are_those_of_keras():
    key = noise.split_seed(SEED)
    counter = [np.arange(392, dtype="uint32")[None], np.full((1, 392), 3, "uint32")]
    halves = [key[:, :1], key[:, 1:]]
    for ours, theirs in zip(
        noise.threefry_2x32(halves, counter, ops=numpy_ops), noise.threefry_2x32(halves, counter), strict=True
    ):
        assert ours.dtype == np.uint32
        np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_the_normal_numbers_are_those_of_keras_to_rounding():
    key = noise.split_seed(SEED)
    for step in (0, 5):
        ours, theirs = (noise.normal(key, step, (5, 5, 1), ops=ops) for ops in (numpy_ops, None))
        assert isinstance(ours, np.ndarray) and ours.dtype == np.float32
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sampler": "ddim", "steps": 1},
        {"sampler": "dpm_solver_pp_2m_sde", "steps": 6},
        {"guidance_interval": (0.2, 3.0)},
        {"threshold": "dynamic"},
        {"guidance": "none", "steps": 3},
        {"temperature": 1.3},
    ],
)
def test_a_picture_is_the_generators(preset, settings):
    drawn = runtimes.load(preset, "litert", **settings).images(DIGIT, W.astype("float32"), SEED)
    expected = presets.load_preset(preset, guidance_interval=settings.pop("guidance_interval", None), **settings)
    assert np.abs(drawn.astype(int) - expected.images(DIGIT, W, SEED)).max() <= 1


def test_a_picture_is_the_same_alone_and_in_any_batch(preset, monkeypatch):
    sample = lambda *args, **kwargs: keras_ddpm.sample(*args, preset=preset, runtime="litert", **kwargs)  # noqa: E731
    drawn = []
    monkeypatch.setattr("keras_ddpm.runtimes.drawer.ROWS", 2)
    together = sample(DIGIT, W, seed=SEED, progress=drawn.append).astype(int)
    assert sum(drawn) == len(DIGIT) and len(drawn) == 4
    for i in range(len(DIGIT)):
        alone = sample(int(DIGIT[i]), float(W[i]), seed=int(SEED[i]))
        assert alone.shape == (28, 28) and np.abs(alone - together[i]).max() <= 1


def test_neither_keras_nor_tensorflow_is_imported(preset):
    code = (
        "import sys, keras_ddpm\n"
        f"image = keras_ddpm.sample([7, 3], runtime='litert', preset={str(preset)!r}, seed=1)\n"
        "assert image.shape == (2, 28, 28)\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0 and out.stdout.strip() == "[]", out.stderr


def test_the_command_takes_the_runtime_by_itself_and_imports_no_tensorflow(preset, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    command = ["sample", "7", "--seed", "1", "--preset", str(preset), "--out", str(tmp_path / "7.png")]
    done = subprocess.run(
        [sys.executable, "-m", "keras_ddpm", *command],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert (tmp_path / "7.png").is_file()


def test_a_folder_needs_no_weights(preset, copy):
    (copy / presets.WEIGHTS).unlink()
    drawn = keras_ddpm.sample(7, seed=1, preset=copy, runtime="litert")
    np.testing.assert_array_equal(drawn, keras_ddpm.sample(7, seed=1, preset=preset, runtime="litert"))


def change_description(folder, **values):
    path = folder / "network.litert.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "fault, message",
    [
        (
            lambda folder: (folder / "network.litert.json").unlink(),
            "has no file for `runtime` 'litert': python -m export",
        ),
        (lambda folder: (folder / "network.litert.json").write_text("{"), "is damaged: python -m export"),
        (lambda folder: change_description(folder, version=2), "is of version 2, this is version 1"),
        (lambda folder: change_description(folder, weights_sha256="0" * 64), "is of other weights"),
        (lambda folder: change_description(folder, files={}), "is damaged"),
        (lambda folder: (folder / "network.tflite").write_bytes(b"TFL3"), "is missing, truncated or changed"),
        (lambda folder: (folder / "network.tflite").unlink(), "is missing, truncated or changed"),
    ],
)
def test_a_fault_of_the_files_is_one_error(copy, fault, message):
    fault(copy)
    with pytest.raises(ValueError, match=message):
        keras_ddpm.sample(7, preset=copy, runtime="litert")


def test_a_stale_file_is_not_taken_by_itself(copy):
    assert runtimes.usable(copy) == "litert"
    change_description(copy, weights_sha256="0" * 64)
    assert runtimes.usable(copy) is None


def test_an_unknown_runtime_and_one_that_is_not_installed_are_named(preset, monkeypatch):
    with pytest.raises(ValueError, match=r"`runtime` must be one of \['litert', 'onnx', 'openvino'\]. Received: 'tpu'"):
        keras_ddpm.sample(7, preset=preset, runtime="tpu")
    monkeypatch.setitem(engines.ENGINES, "litert", engines.ENGINES["litert"]._replace(module="no_such_package"))
    with pytest.raises(ValueError, match=r"'litert' is not installed: pip install 'keras_ddpm\[lite\]'"):
        runtimes.load(preset, "litert")
    assert runtimes.usable(preset) is None


@pytest.mark.parametrize(
    "settings, name", [({"steps": 0}, "steps"), ({"steps": 51}, "steps"), ({"sampler": "x"}, "sampler")]
)
def test_settings_are_checked_as_ever(preset, settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        keras_ddpm.sample(7, preset=preset, runtime="litert", **settings)


def test_guidance_by_a_second_network_is_refused(preset):
    message = r"A runtime's `guidance` must be one of \['classifier_free', 'none'\]. Received: 'autoguidance'"
    with pytest.raises(ValueError, match=message):
        runtimes.load(preset, "litert", guidance="autoguidance", weak=str(preset))


def test_content_that_the_runtime_cannot_read_is_one_error():
    rest = {"steps": steps_of(config.Config()), "image_shape": (28, 28, 1), "conditions": conditions_of(10, ())}
    with pytest.raises(ValueError, match="`runtime` 'litert' cannot read its file"):
        runtimes.Drawer([b"no model"], "litert", **rest)
