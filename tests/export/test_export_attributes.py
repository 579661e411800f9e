"""A model with attributes as a SavedModel: an input for each, NaN where it is not given, and the pictures of Python."""

import base64
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_ddpm
from export import metadata as export_metadata
from export import signatures, verify, warmup
from export.savedmodel import export
from keras_ddpm import presets
from keras_ddpm.demo.sources import Remote

RANGES = {"thickness": [0.0, 1.0], "slant": [-1.0, 1.0], "smiles": [0.0, 1.0]}
REQUEST = {
    "digit": np.int32([7, 3, 7]),
    "w": np.float32([2.0, 1.5, 0.0]),
    "seed": np.arange(3) * 2**57,
    "thickness": np.float32([0.8, np.nan, 0.0]),
    "slant": np.float32([np.nan, np.nan, -1.0]),
    "smiles": np.full(3, np.nan, "float32"),
}


def metadata_of(preset):
    return export_metadata.collect(presets.read_config(preset)[0], preset, every=2, xla=False)


def functions_of(preset):
    return signatures.build(presets.load_preset(preset), metadata=metadata_of(preset))


@pytest.fixture(scope="module")
def functions(attributes_preset):
    return functions_of(attributes_preset)


def call(functions, name, inputs):
    """A function of a signature, called as the SavedModel calls it: in the order of its specs."""
    function, specs = functions[name]
    return {
        key: value.numpy() for key, value in function(*(tf.constant(inputs[s.name], s.dtype) for s in specs)).items()
    }


def drawn_in_python(preset, request=REQUEST):
    """Each row by itself, with those attributes that it is given."""
    images = []
    for i in range(len(request["digit"])):
        given = {name: request[name][i] for name in RANGES if not np.isnan(request[name][i])}
        row = {name: request[name][i] for name in ("digit", "w", "seed")}
        images.append(keras_ddpm.sample(**row, preset=preset, **given))
    return np.stack(images).astype(int)


def test_each_row_has_the_attributes_that_it_is_given(functions, attributes_preset):
    images = call(functions, "sample", REQUEST)["image"][..., 0]
    assert np.abs(images - drawn_in_python(attributes_preset)).max() <= 1
    states = call(functions, "trajectory", REQUEST)["x_t"]
    assert np.abs(np.round(127.5 * (states[:, -1, ..., 0].clip(-1, 1) + 1)) - images).max() <= 1


def test_one_call_of_the_network_is_told_the_attributes(functions, attributes_preset):
    x_t = np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype("float32")
    answer = call(functions, "denoise", REQUEST | {"x_t": x_t, "t": np.int32([9, 9, 9])})
    denoise = presets.load_preset(attributes_preset).denoiser(
        {"label": np.int32([7]), "thickness": np.float32([0.8])}, 2.0
    )
    np.testing.assert_allclose(answer["x_0"][:1], denoise(x_t[:1], np.float32([0.2])), atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"thickness": [0.5, 1.5, 0.5]}, r"`thickness` must be in 0\.\.1, or NaN if it is not given"),
        ({"slant": [-1.5, 0.0, 0.0]}, r"`slant` must be in -1\.\.1, or NaN"),
        ({"slant": [np.inf, 0.0, 0.0]}, r"`slant` must be in -1\.\.1, or NaN"),
        ({"smiles": [0.5]}, "`smiles` must have as many rows as `digit`"),
        ({"w": [np.nan, 1.0, 1.0]}, "`w` must be finite"),
    ],
)
def test_the_graph_refuses_an_attribute_out_of_range(functions, wrong, message):
    for name in ("sample", "denoise"):
        inputs = {**REQUEST, "x_t": np.zeros((3, 28, 28, 1)), "t": [9, 9, 9], **wrong}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call(functions, name, inputs)


def test_the_metadata_name_the_attributes_and_their_ranges(attributes_preset, small_preset):
    assert metadata_of(attributes_preset)["attributes"] == RANGES
    assert "attributes" not in metadata_of(small_preset)


def test_a_model_without_attributes_has_the_inputs_that_it_had(small_preset):
    inputs = {name: [spec.name for spec in specs] for name, (_, specs) in functions_of(small_preset).items()}
    request = ["digit", "w", "seed"]
    assert inputs == {
        "sample": request,
        "sample_png": request,
        "trajectory": request,
        "denoise": ["x_t", "t", "digit", "w"],
        "restore": ["image", "mask", *request],
        "metadata": ["digit"],
    }


def test_what_warms_a_model_up_has_the_inputs_of_its_signatures(functions, attributes_preset):
    for name, inputs in warmup.requests(metadata_of(attributes_preset)):
        specs = functions["sample" if name == "serving_default" else name][1]
        assert set(inputs) == {spec.name for spec in specs}, name


def test_an_export_is_compared_with_some_rows_that_have_an_attribute_and_some_that_lack_it(attributes_preset):
    requests = verify._requests(metadata_of(attributes_preset))
    patterns = {tuple(row) for row in np.isnan([requests[-1][name] for name in RANGES]).T.tolist()}
    assert len(patterns) == 2 ** len(RANGES)


@pytest.fixture(scope="module")
def exported_attributes(attributes_preset, tmp_path_factory):
    """A model's folder with version 1, which was verified as it was written."""
    out = tmp_path_factory.mktemp("models") / "ddpm"
    export(attributes_preset, out, every=2)
    return out


@pytest.fixture(scope="module")
def local(exported_attributes):
    from serving.local_server import server
    from serving.local_server.options import Options

    with server.running(Options(model_base_path=exported_attributes, port=0, rest_api_port=0)) as local:
        yield local


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["localhost:{port}", "http://localhost:{rest_api_port}"])
def test_a_client_draws_what_python_draws(local, attributes_preset, wire):
    from serving.client import Client, errors

    with Client(wire.format(port=local.port, rest_api_port=local.rest_api_port)) as client:
        asked = {"seed": [1, 2], "thickness": [0.8, 0.2], "slant": None}
        images = client.sample(7, **asked).images.astype(int)
        expected = keras_ddpm.sample(7, preset=attributes_preset, **asked)
        assert np.abs(images - expected).max() <= 1
        assert client.metadata()["attributes"] == RANGES
        assert np.abs(client.trajectory(7, **asked).x_t[:, -1, ..., 0] * 127.5 + 127.5 - expected).max() <= 2
        restored = client.restore(images[0].astype("uint8"), mask=np.indices((28, 28))[0] > 13, digit=7).images
        np.testing.assert_array_equal(restored[0, :14], images[0, :14])
        with pytest.raises(errors.InvalidRequest, match="`slant` must be in"):
            client.predict("sample", REQUEST | {"slant": np.float32([2, 0, 0])})
        remote = Remote({"ddpm": client}, (errors.ServingError,))
        assert remote.attributes("ddpm") == {name: tuple(ends) for name, ends in RANGES.items()}
        drawn = remote.sample("ddpm", [7, 7], None, [1, 2], None, slant=0.5)[..., 0].astype(int)
        assert np.abs(drawn - keras_ddpm.sample(7, seed=[1, 2], preset=attributes_preset, slant=0.5)).max() <= 1


@pytest.mark.slow
def test_the_local_servers_page_has_a_field_for_each(local, browser, attributes_preset):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"http://localhost:{local.rest_api_port}/")
    page.get_by_label("slant").fill("-0.5")
    page.get_by_label("seed").fill("5")
    page.get_by_role("button", name="Draw").click()
    picture = page.get_by_role("img", name="digit 7, w 2, slant -0.5, seed 5")
    picture.wait_for()
    png = base64.b64decode(picture.get_attribute("src").partition(",")[2])
    drawn = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    assert np.abs(drawn - keras_ddpm.sample(7, 2.0, seed=5, preset=attributes_preset, slant=-0.5)).max() <= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
