"""A latent model as a SavedModel: the same pictures, its own signatures, and one clear error for what it has not."""

import json

import numpy as np
import pytest

import keras_ddpm
from export import formats
from export import metadata as export_metadata
from export.savedmodel import export
from keras_ddpm import presets
from serving.client import restoring, results
from serving.client.errors import InvalidRequest
from serving.local_server.servable import Servable


@pytest.fixture(scope="module")
def version(latent_preset, tmp_path_factory):
    return export(latent_preset, tmp_path_factory.mktemp("models") / "latent", every=2)  # verified as it is written


@pytest.fixture(scope="module")
def servable(version):
    servable = Servable(version)
    yield servable
    servable.close()


@pytest.mark.slow
def test_a_session_draws_what_python_draws(servable, latent_preset):
    digit, seed = np.arange(5, dtype="int32"), np.arange(5, dtype="int64") * 2**57
    served = servable.run("sample", {"digit": digit, "w": np.full(5, 2, "float32"), "seed": seed})["image"]
    drawn = keras_ddpm.sample(digit, 2.0, seed=seed, preset=latent_preset)
    assert served.shape == (5, 28, 28, 1) and np.ptp(served) > 50
    np.testing.assert_allclose(served[..., 0].astype(int), drawn, atol=1)


@pytest.mark.slow
def test_states_are_shown_decoded_and_one_call_is_of_latents(servable, latent_preset):
    request = {"digit": np.zeros(2, "int32"), "w": np.ones(2, "float32"), "seed": np.arange(2)}
    states = servable.run("trajectory", request)["x_t"]
    generator = presets.load_preset(latent_preset)
    _, expected = generator.trajectory([0, 0], 1.0, [0, 1], every=2)
    np.testing.assert_allclose(states, expected, atol=1e-4)
    x_t = np.random.default_rng(0).standard_normal((2, 7, 7, 2)).astype("float32")
    called = servable.run(
        "denoise", {"x_t": x_t, "t": np.array([9, 9], "int32"), "digit": request["digit"], "w": request["w"]}
    )
    x_0 = generator.denoiser({"label": request["digit"]}, request["w"])(x_t, np.full(2, 0.2, "float32"))
    np.testing.assert_allclose(called["x_0"], x_0, atol=1e-4)


@pytest.mark.slow
def test_its_metadata_say_what_is_diffused_and_a_client_follows(servable, version):
    found = export_metadata.of_loaded(servable)
    assert found["latent_shape"] == [7, 7, 2] and found["image_shape"] == [28, 28, 1] and "restore" not in found
    assert "restore" not in servable.signatures
    assert found == json.loads((version / export_metadata.PLACE).read_text())
    assert results.diffused_shape(found) == (7, 7, 2)
    assert results.output_specs("denoise", found)["eps"].shape == (None, 7, 7, 2)
    assert results.output_specs("trajectory", found)["x_t"].shape == (None, None, 28, 28, 1)
    with pytest.raises(InvalidRequest, match="This model diffuses latents, of which no pixel is known"):
        restoring.calls(found)


def test_a_runtimes_file_of_latents_is_refused(latent_preset, tmp_path):
    with pytest.raises(ValueError, match=r"A runtime works on pixels.* Received: 'latent'"):
        formats.export(latent_preset, "litert", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_metadata_of_images_have_not_changed(small_preset):
    found = export_metadata.collect(presets.read_config(small_preset)[0], small_preset, every=2, xla=False)
    assert "latent_shape" not in found and found["restore"] == {"steps": 10, "repeats": 4}
