"""Laws of the SavedModel: the same pictures as Python's, and nothing half written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import replace_section

import keras_ddpm
from export import manifest, savedmodel, signatures, verify, versions
from export import metadata as export_metadata
from export.warmup import RECORDS
from keras_ddpm import noise, presets
from keras_ddpm.data import to_uint8
from keras_ddpm.saving.weights import write_weights
from serving.local_server.servable import Servable

ROOT = Path(__file__).parents[2]
DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"  # what the server calls when it starts


@pytest.fixture(scope="module")
def servable(exported):
    servable = Servable(exported / "1")
    yield servable
    servable.close()


def rows(n, *, w=2.0):
    digit = (np.arange(n) % 10).astype("int32")
    return {"digit": digit, "w": np.full(n, w, "float32"), "seed": np.arange(n, dtype="int64") * 2**57}


def part(request, chosen):
    return {name: value[chosen] for name, value in request.items()}


def test_a_session_draws_what_python_draws(servable, served_preset):
    request = rows(7)
    drawn = keras_ddpm.sample(request["digit"], request["w"], seed=request["seed"], preset=served_preset)
    served = servable.run("sample", request)["image"]
    assert served.dtype == np.uint8 and served.shape == (7, 28, 28, 1)
    assert np.ptp(served) > 100
    np.testing.assert_allclose(served[..., 0].astype(int), drawn, atol=1)
    assert np.mean(served[..., 0] != drawn) < 1e-3  # rounding of the 1e-6 between batch sizes


def test_a_row_does_not_depend_on_its_batch(servable):
    request = rows(9, w=1.5)
    together = servable.run("trajectory", request)["x_t"]
    for chosen in ([4], [8, 0], [2, 2, 5, 7, 1]):
        alone = servable.run("trajectory", part(request, chosen))["x_t"]
        np.testing.assert_allclose(alone, together[chosen], atol=1e-4)


def test_sample_png_holds_the_images_of_sample(servable):
    images, pngs = servable.run("sample", rows(3))["image"], servable.run("sample_png", rows(3))["image_bytes"]
    for image, png in zip(images, pngs):
        np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), image)


def test_a_trajectory_starts_in_the_seeds_warm_noise_and_ends_in_the_sample(servable, served_preset):
    path, request = servable.run("trajectory", rows(3)), rows(3)
    assert path["t"].tolist() == [[49, 29, 9, -1]] * 3
    key = noise.split_seed(request["seed"])
    temperature = presets.read_config(served_preset)[0].sampling.temperature
    assert temperature > 1
    np.testing.assert_allclose(path["x_t"][:, 0], temperature * noise.normal(key, 0, (28, 28, 1)), atol=1e-5)
    np.testing.assert_allclose(to_uint8(path["x_t"][:, -1]), servable.run("sample", request)["image"], atol=1)


def test_denoise_answers_an_eps_and_an_x_0_that_make_up_x_t(servable, served_preset):
    request, t = rows(4), np.array([0, 10, 30, 49], "int32")
    x_t = np.random.default_rng(0).standard_normal((4, 28, 28, 1)).astype("float32")
    answer = servable.run("denoise", {"x_t": x_t, "t": t, "digit": request["digit"], "w": request["w"]})
    generator = presets.load_preset(served_preset)
    alpha, sigma = (np.asarray(a) for a in generator.diffusion.alpha_sigma((t + 1) / 50))
    np.testing.assert_allclose(alpha * answer["x_0"] + sigma * answer["eps"], x_t, atol=1e-4)
    for i in range(4):  # each row has its own time
        one, time = slice(i, i + 1), np.float32((t[i] + 1) / 50)
        denoise = generator.denoiser({"label": request["digit"][one]}, request["w"][one])
        np.testing.assert_allclose(answer["x_0"][one], denoise(x_t[one], time), atol=1e-4)


def half_missing(n):
    """A request to restore n images whose right half is missing, every second digit unknown."""
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28, 1), dtype="uint8")
    mask = np.zeros((n, 28, 28), "uint8")
    mask[:, :, 14:] = 1
    request = rows(n)
    return request | {"image": images, "mask": mask, "digit": np.where(np.arange(n) % 2, -1, request["digit"])}


def test_restore_keeps_what_is_known_and_draws_what_python_draws(servable, served_preset):
    request = half_missing(4)
    served = servable.run("restore", {**request, "digit": request["digit"].astype("int32")})["image"][..., 0]
    np.testing.assert_array_equal(served[:, :, :14], request["image"][:, :, :14, 0])
    for i in range(4):
        given = {} if i % 2 else {"digit": request["digit"][i], "w": request["w"][i]}
        seed, mask = request["seed"][i], request["mask"][i]
        drawn = keras_ddpm.restore(request["image"][i], mask=mask, seed=seed, preset=served_preset, **given)
        assert np.abs(drawn.astype(int) - served[i]).max() <= 1 and np.ptp(drawn[:, 14:]) > 50


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"digit": np.int32([-2, 1])}, r"`digit` must be in -1\.\.9"),
        ({"digit": np.int32([10, 1])}, r"`digit` must be in -1\.\.9"),
        ({"mask": np.full((2, 28, 28), 2, "uint8")}, "`mask` must be 0, or 1 where a pixel is missing"),
        ({"mask": np.zeros((2, 28, 28), "uint8")}, "some pixels known and some missing"),
        ({"mask": np.ones((2, 28, 28), "uint8")}, "some pixels known and some missing"),
        ({"mask": half_missing(3)["mask"]}, "`mask` must have as many rows"),
        ({"image": half_missing(1)["image"]}, "`image` must have as many rows"),
        ({"image": np.zeros((2, 14, 28, 1), "uint8")}, "image"),
        ({"w": np.float32([1, np.nan])}, "`w` must be finite"),
        ({"seed": np.int64([1, -1])}, "`seed` must be in"),
    ],
)
def test_the_graph_refuses_what_cannot_be_restored(servable, wrong, message):
    request = half_missing(2)
    with pytest.raises(Exception, match=message):
        servable.run("restore", request | {"digit": request["digit"].astype("int32")} | wrong)


def test_metadata_says_how_the_model_samples_in_the_graph_and_beside_it(exported, servable, served_preset):
    metadata = [json.loads(text) for text in servable.run("metadata", {"digit": np.zeros(2, "int32")})["metadata"]]
    assert metadata[0] == metadata[1] == export_metadata.read(exported / "1")
    sampling = presets.read_config(served_preset)[0].sampling
    assert (metadata[0]["sampler"], metadata[0]["steps"], metadata[0]["w"]) == (sampling.sampler, 5, sampling.w)
    assert metadata[0]["guidance_interval"] == list(sampling.guidance_interval) and metadata[0]["every"] == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"digit": np.array([3, 10], "int32")}, "`digit` must be in 0..9"),
        ({"digit": np.array([-1, 3], "int32")}, "`digit` must be in 0..9"),
        ({"w": np.array([1, np.nan], "float32")}, "`w` must be finite"),
        ({"w": np.array([np.inf, 1], "float32")}, "`w` must be finite"),
        ({"seed": np.array([1, -1], "int64")}, "`seed` must be in 0..2\\^63 - 1"),
        ({"w": np.ones(1, "float32")}, "`w` must have as many rows"),
        ({"seed": np.zeros(3, "int64")}, "`seed` must have as many rows"),
        (rows(0), "1..64 rows"),
        (rows(65), "1..64 rows"),
        (rows(100_000), "1..64 rows"),
    ],
)
def test_the_graph_refuses_what_cannot_be(servable, wrong, message):
    for signature in ("sample", "sample_png", "trajectory"):
        with pytest.raises(Exception, match=message):
            servable.run(signature, rows(2) | wrong)


def test_a_model_with_guidance_baked_in_refuses_another_w(small_preset, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "baked")
    settings, image_shape, num_classes = presets.read_config(folder)
    baked = replace_section(settings, "sampling", guidance="none", w=1.0)
    presets.write_config(folder, baked, image_shape, num_classes)
    found = export_metadata.collect(baked, folder, every=2, xla=False)
    functions = signatures.build(presets.load_preset(folder), metadata=found)
    request = {name: tf.constant(value) for name, value in rows(2, w=1.0).items()}
    assert functions["sample"][0](**request)["image"].shape == (2, *image_shape)
    for name in ("sample", "sample_png", "trajectory"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="`w` must be 1, which is baked into this model"):
            functions[name][0](**request | {"w": tf.constant([1.0, 1.5])})


@pytest.mark.slow
def test_a_weaker_network_is_exported_beside_the_one_that_it_guides(small_preset, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "guided")
    shutil.copytree(small_preset, folder / "weak")
    settings, *shape = presets.read_config(folder)
    guided = replace_section(settings, "sampling", guidance="autoguidance", weak="weak", w=1.5)
    presets.write_config(folder, guided, *shape)
    weak = presets.load_network(folder / "weak")
    weak.set_weights([0.9 * weight for weight in weak.get_weights()])
    write_weights(weak, folder / "weak" / presets.WEIGHTS)
    version = savedmodel.export(folder, tmp_path / "models", every=2)  # verified as it is written
    found = export_metadata.read(version)
    assert (found["guidance"], found["weights_sha256"]) == ("autoguidance", presets.fingerprint(folder))
    shutil.rmtree(folder / "weak")  # the weights of both are in the version
    servable = Servable(version)
    assert servable.run("sample", rows(2))["image"].shape == (2, 28, 28, 1)
    servable.close()


@pytest.mark.parametrize("t", [-1, 50])
def test_denoise_refuses_times_that_are_none(servable, t):
    x_t = np.zeros((1, 28, 28, 1), "float32")
    request = {"x_t": x_t, "t": np.array([t], "int32"), "digit": rows(1)["digit"], "w": rows(1)["w"]}
    with pytest.raises(Exception, match=r"`t` must be in 0\.\.49"):
        servable.run("denoise", request)


def test_every_input_and_output_has_the_batch_first(servable):
    for name in ("serving_default", "sample", "sample_png", "trajectory", "denoise", "restore", "metadata"):
        definition = servable.signatures[name]
        for tensor in (*definition.inputs.values(), *definition.outputs.values()):
            assert tensor.tensor_shape.dim[0].size == -1, name


def test_every_warm_up_record_is_a_request_that_runs(exported, servable):
    from tensorflow_serving.apis import prediction_log_pb2

    records = [r.numpy() for r in tf.data.TFRecordDataset(str(exported / "1" / RECORDS))]
    requests = [prediction_log_pb2.PredictionLog.FromString(r).predict_log.request for r in records]
    sizes = []
    for request in requests:
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        servable.run(request.model_spec.signature_name, inputs)
        sizes += [len(inputs["digit"])] * (request.model_spec.signature_name == "sample")
    assert tuple(sizes) == signatures.ALLOWED_BATCH_SIZES
    assert {r.model_spec.signature_name for r in requests} == set(servable.signatures) - {"__saved_model_init_op"}


@pytest.mark.slow
def test_the_export_runs_where_xla_is_disabled(exported):
    code = f"""
import ctypes, pathlib, sys, numpy as np, tensorflow as tf
library = next(pathlib.Path(tf.__file__).parent.glob("libtensorflow_cc.so.2"))
getattr(ctypes.CDLL(str(library)), "{DISABLE_XLA}")()
try:
    tf.function(lambda x: x + 1, jit_compile=True)(tf.ones(2))
except tf.errors.OpError as error:
    print("refused:", error.message)
from serving.local_server.servable import Servable
one = dict(digit=np.zeros(1, "int32"), w=np.ones(1, "float32"), seed=np.zeros(1, "int64"))
print("drawn:", Servable(sys.argv[1]).run("sample", one)["image"].shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported / "1")], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert "refused:" in done.stdout and "drawn: (1, 28, 28, 1)" in done.stdout, done.stderr[-2000:]


@pytest.mark.slow
def test_the_xla_variant_draws_the_same_pictures(served_preset, servable, tmp_path):
    version = savedmodel.export(served_preset, tmp_path, every=2, xla=True)
    compiled = Servable(version)
    try:
        images = compiled.run("sample", rows(3))["image"].astype(int)
    finally:
        compiled.close()
    np.testing.assert_allclose(images, servable.run("sample", rows(3))["image"], atol=1)


@pytest.mark.slow
def test_verify_finds_the_same_pictures_and_notices_other_weights(exported, served_preset):
    found = verify.verify(exported, preset=served_preset)
    assert found["images"] > 100 and found["greatest difference"] <= 1
    with pytest.raises(ValueError, match="other weights"):
        verify.verify(exported, preset="mnist")


def test_an_export_says_what_it_is_doing(served_preset, tmp_path, without_a_graph):
    words = []
    savedmodel.export(served_preset, tmp_path, notify=words.append)
    assert words == [f"loading {served_preset}", "writing the graph"]


def test_an_export_from_before_there_was_a_temperature_is_verified_by_the_presets(exported, served_preset):
    found = export_metadata.read(exported / "1")
    assert verify._python({**found, "temperature": 1.3}, served_preset, exported).temperature == 1.3
    del found["temperature"]
    assert verify._python(found, served_preset, exported).temperature == 1.1


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [{"sampler": "ddim"}, {"temperature": 1.5}])
def test_what_draws_something_else_is_never_published(served_preset, tmp_path, monkeypatch, sampling):
    monkeypatch.setattr(verify, "SETTINGS", ("steps", "guidance_interval"))  # Python keeps the preset's own
    with pytest.raises(ValueError, match=r"draws other images than keras_ddpm\.sample"):
        savedmodel.export(served_preset, tmp_path, sampling=sampling)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def without_a_graph(monkeypatch):
    """Exports that write an empty file for the graph, where only folders count."""
    monkeypatch.setattr(savedmodel, "write", lambda network, functions, folder: (folder / "saved_model.pb").touch())
    monkeypatch.setattr(savedmodel.verify, "verify", lambda folder, preset, notify: None)


def test_nothing_is_exported_twice_if_nothing_changed(served_preset, tmp_path, without_a_graph):
    first = savedmodel.export(served_preset, tmp_path, if_changed=True)
    assert savedmodel.export(served_preset, tmp_path, if_changed=True) == first
    assert savedmodel.export(served_preset, tmp_path, sampling={"w": 4.0}, if_changed=True).name == "2"
    assert savedmodel.export(served_preset, tmp_path).name == "3"


def test_a_damaged_version_is_exported_again(served_preset, tmp_path, without_a_graph):
    first = savedmodel.export(served_preset, tmp_path, if_changed=True)
    (first / "saved_model.pb").write_bytes(b"damaged")
    second = savedmodel.export(served_preset, tmp_path, if_changed=True)
    assert second.name == "2" and savedmodel.export(served_preset, tmp_path, if_changed=True) == second
    manifest.path_in(second).unlink()
    assert savedmodel.export(served_preset, tmp_path, if_changed=True).name == "3"


def test_a_w_for_each_digit_is_not_exported_but_one_is(tmp_path, without_a_graph):
    with pytest.raises(ValueError, match=r"`w` finite, one for all classes. Received: 5, \(2\.0,"):
        savedmodel.export("mnist_w_of_digit", tmp_path)
    assert not list(tmp_path.iterdir())
    version = savedmodel.export("mnist_w_of_digit", tmp_path, sampling={"w": 2.0})
    assert export_metadata.read(version)["weights_sha256"] == presets.fingerprint("mnist")


def test_what_a_killed_export_left_is_swept_up_when_it_is_old(served_preset, tmp_path, without_a_graph):
    old, young = tmp_path / ".partial-old", tmp_path / ".partial-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    savedmodel.export(served_preset, tmp_path)
    assert not old.exists() and young.exists()


def test_versions_count_up_and_others_are_left_alone(served_preset, tmp_path, without_a_graph):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "file").touch()
    (tmp_path / "notes").mkdir()
    assert [savedmodel.export(served_preset, tmp_path).name for _ in range(2)] == ["8", "9"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "9", "notes"]


def test_no_version_is_written_that_no_server_reads(served_preset, tmp_path, without_a_graph):
    (tmp_path / str(2**63)).mkdir()  # not a version: servers do not look at it
    (tmp_path / str(2**63 - 2)).mkdir()
    last = savedmodel.export(served_preset, tmp_path)
    assert last.name == str(2**63 - 1) and versions.newest(tmp_path) == last
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="There is no version after 9223372036854775807"):
        savedmodel.export(served_preset, tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_export_leaves_nothing(served_preset, tmp_path, monkeypatch):
    def fails(network, functions, folder):
        (folder / "saved_model.pb").touch()
        raise OSError("no space left")

    monkeypatch.setattr(savedmodel, "write", fails)
    with pytest.raises(OSError, match="no space"):
        savedmodel.export(served_preset, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_killed_export_leaves_no_version(served_preset, tmp_path):
    args = [sys.executable, "-m", "export", "--preset", str(served_preset), "--out", str(tmp_path)]
    process = subprocess.Popen(args, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".partial-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".partial-*"))
    assert not [path for path in tmp_path.iterdir() if path.name.isdecimal()]
