"""What the demo's buttons do, without a page: the pictures of their seeds, masks, films, errors as sentences."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import keras_ddpm
from keras_ddpm import presets
from keras_ddpm.cli.demo import _fastest_first
from keras_ddpm.demo import actions
from keras_ddpm.demo.sources import Local, Remote


@pytest.fixture(scope="module")
def source(small_preset):
    return Local([str(small_preset)])


@pytest.fixture(scope="module")
def preset(source):
    return source.presets[0]


def test_the_page_begins_with_what_sample_draws_with_and_the_fast_ones():
    names = _fastest_first(presets.names())
    assert names[:2] == [presets.ONE_CALL, "mnist_fast"] and sorted(names) == presets.names()


def test_a_sheet_holds_the_pictures_of_its_seeds(source, preset):
    sheet, words = actions.draw(source, preset, 3, 5, "1.5", "40", "")
    expected = keras_ddpm.sample(3, 1.5, seed=[40, 41, 42, 43, 44], preset=preset)
    assert words.startswith("Seeds 40 to 44, ") and sheet.shape == (2 * 142 - 2, 4 * 142 - 2)
    for i, image in enumerate(expected):
        top, left = 142 * (i // 4), 142 * (i % 4)
        drawn = sheet[top : top + 140 : 5, left : left + 140 : 5]
        assert np.abs(drawn.astype(int) - image).max() <= 1


def test_the_seeds_that_are_named_draw_the_same_again(source, preset):
    sheet, words = actions.draw(source, preset, 3, 3, "", "", "")
    first, last = words.removeprefix("Seeds ").split(",")[0].split(" to ")
    assert int(last) == int(first) + 2
    again, _ = actions.draw(source, preset, 3, 3, "", first, "")
    assert np.abs(sheet.astype(int) - again).max() <= 1


def test_both_sides_of_a_comparison_have_the_same_seeds(source, preset):
    left, words, right, others = actions.compare(source, preset, preset, 3, 2, "")
    assert words.split(",")[0] == others.split(",")[0]
    assert np.abs(left.astype(int) - right).max() <= 1


def test_a_film_ends_with_the_picture(source, preset):
    html, words = actions.film(source, preset, 4, "", "9", "")
    assert words.startswith("5 steps, seed 9, ") and 'alt="Noise becomes a 4 in 5 steps, seed 9"' in html
    states = source.film(preset, 4, None, 9, None)
    with Image.open(io.BytesIO(actions.gif(states))) as film:
        assert film.n_frames == 6
        film.seek(5)
        last = np.asarray(film.convert("L"))[::10, ::10]
    expected = keras_ddpm.sample(4, seed=9, preset=preset)
    assert np.abs(last.astype(int) - expected).max() <= 1


def test_a_sheet_and_a_film_have_the_attributes_that_are_asked_for(attributes_preset):
    source = Local([str(attributes_preset)])
    [preset], asked = source.presets, {"thickness": 0.8, "slant": -0.25}
    assert source.attributes(preset) == {"thickness": (0.0, 1.0), "slant": (-1.0, 1.0), "smiles": (0.0, 1.0)}
    sheet, words = actions.draw(source, preset, 3, 1, "", "7", "", asked)
    expected = keras_ddpm.sample([3], seed=7, preset=preset, **asked)[0]
    assert words.startswith("Seed 7, thickness 0.8, slant -0.25, ")
    assert np.abs(sheet[::10, ::10].astype(int) - expected).max() <= 1
    _, words = actions.film(source, preset, 3, "", "7", "", asked)
    assert words.startswith("5 steps, seed 7, thickness 0.8, slant -0.25, ")
    assert np.abs(source.film(preset, 3, None, 7, None, **asked)[-1, ..., 0].astype(int) - expected).max() <= 1
    with pytest.raises(ValueError, match=r"`slant` must be in -1\.\.1\. Received: 2"):
        actions.draw(source, preset, 3, 1, "", "7", "", {"slant": 2.0})


def painted(mask):
    layer = np.zeros((280, 280, 4), "uint8")
    layer[mask.repeat(10, 0).repeat(10, 1)] = (178, 60, 50, 255)
    return {"background": None, "layers": [layer], "composite": None}


def test_what_is_not_painted_over_comes_back(source, preset):
    image, large = actions.canvas(source, preset, 7, "3")
    np.testing.assert_array_equal(large[::10, ::10], image)
    mask = np.zeros((28, 28), bool)
    mask[14:, 3:20] = True
    np.testing.assert_array_equal(actions.mask_of(painted(mask), (28, 28)), mask)
    damaged, sheet, words = actions.restore(source, preset, image, painted(mask), "7", 2, "5")
    assert words.startswith("Seeds 5 to 6, 30 % painted over, ")
    np.testing.assert_array_equal(damaged[::10, ::10][~mask], np.repeat(image[~mask][:, None], 3, axis=1))
    for left in (0, 142):
        np.testing.assert_array_equal(sheet[:140:5, left : left + 140 : 5][~mask], image[~mask])


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ((7, 0, "", "", ""), "Images must be a whole number from 1 to 16. Received: 0"),
        ((7, 17, "", "", ""), "Images must be"),
        ((7, 1.5, "", "", ""), "Images must be"),
        ((7, None, "", "", ""), "Images must be"),
        ((7, 1, "much", "", ""), "Guidance w must be a number, or empty. Received: 'much'"),
        ((7, 1, "nan", "", ""), "`w` must be finite"),
        ((7, 1, "", "-1", ""), "The seed must be a whole number from 0 to 9223372036854775807. Received: '-1'"),
        ((7, 2, "", str(2**63 - 1), ""), "from 0 to 9223372036854775806"),
        ((7, 1, "", "", "0"), "Steps must be a whole number from 1 to 100. Received: 0"),
        ((7, 1, "", "", "1000000"), "Steps must be"),
        ((7, 1, "", "", "ten"), "Steps must be a whole number, or empty. Received: 'ten'"),
        ((7, 1, "", "", "99"), "`steps` must be"),  # more than the schedule has
        ((12, 1, "", "", ""), "`digit` must be in 0..9"),
    ],
)
def test_a_wrong_field_is_one_sentence(source, preset, fields, sentence):
    with pytest.raises(ValueError) as error:
        actions.draw(source, preset, *fields)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_there_must_be_a_digit_and_paint(source, preset):
    with pytest.raises(ValueError, match="There is no digit yet"):
        actions.restore(source, preset, None, {}, "7", 1, "")
    with pytest.raises(ValueError, match="Nothing is painted over yet"):
        actions.restore(source, preset, np.zeros((28, 28), "uint8"), {"layers": []}, "7", 1, "")


def test_a_preset_that_does_not_exist_is_an_error_before_the_page_opens():
    with pytest.raises(ValueError, match="`preset` must be one of"):
        Local(["nothing"])


class Patches:
    """A source of colour images of 12 x 20, each of one colour, which keeps what it was asked to restore."""

    def sample(self, preset, digit, w, seed, steps):
        return np.array([np.full((12, 20, 3), (10, 20, 30 + label), "uint8") for label in digit])

    def restore(self, preset, image, mask, digit, seed):
        self.asked = image, mask
        return np.where(mask[None, ..., None], 255, image)


def test_colours_are_painted_over_and_restored():
    source = Patches()
    image, large = actions.canvas(source, "patches", 4, "3")
    assert image.shape == (12, 20, 3) and large.shape == (280, 280, 3) and large[-1, -1].tolist() == [10, 20, 34]
    layer = np.zeros((280, 280, 4), "uint8")
    layer[140:] = (178, 60, 50, 255)
    damaged, sheet, words = actions.restore(source, "patches", image, {"layers": [layer]}, "4", 1, "5")
    np.testing.assert_array_equal(source.asked[1], np.arange(12)[:, None].repeat(20, axis=1) >= 6)
    assert words.startswith("Seed 5, 50 % painted over, ")
    assert damaged[0, 0].tolist() == [10, 20, 34] and damaged[-1, 0].tolist() == [178, 60, 50]
    assert sheet.shape[-1] == 3 and sheet[-1, 0].tolist() == [255, 255, 255]


class FakeClient:
    """A server with images of one grey level that stands for the seed."""

    def sample(self, digit, w, *, seed):
        if digit[0] > 9:
            raise ConnectionError("The server is gone")
        return SimpleNamespace(images=np.full((len(seed), 28, 28), np.reshape(seed, (-1, 1, 1)), "uint8"))

    def trajectory(self, digit, w, *, seed):
        return SimpleNamespace(x_t=np.zeros((1, 4, 28, 28, 1), "float32"))


def test_a_server_is_asked_for_what_the_fields_say_and_has_steps_of_its_own():
    remote = Remote({"ddpm": FakeClient()}, (ConnectionError,))
    sheet, words = actions.draw(remote, "ddpm", 3, 3, "2", "7", "")
    assert words.startswith("Seeds 7 to 9, ") and sheet[0, :426:142].tolist() == [7, 8, 9]
    assert actions.film(remote, "ddpm", 3, "2", "7", "")[1].startswith("3 steps, seed 7, ")
    with pytest.raises(ValueError, match="`steps` must be left empty"):
        actions.draw(remote, "ddpm", 3, 3, "2", "7", "5")
    with pytest.raises(remote.failures, match="The server is gone"):
        actions.draw(remote, "ddpm", 12, 3, "2", "7", "")


class ServerWithAttributes(FakeClient):
    """Images whose grey level is 100 times the thickness."""

    def metadata(self):
        return {"attributes": {"thickness": [0.0, 1.0], "slant": [-1, 1]}}

    def sample(self, digit, w, *, seed, thickness):
        return SimpleNamespace(images=np.full((len(seed), 28, 28), 100 * thickness, "uint8"))

    def trajectory(self, digit, w, *, seed, thickness):
        return SimpleNamespace(x_t=np.full((1, 4, 28, 28, 1), thickness, "float32"))


def test_a_server_is_asked_for_attributes():
    remote = Remote({"ddpm": ServerWithAttributes()}, (ConnectionError,))
    assert remote.attributes("ddpm") == {"thickness": (0.0, 1.0), "slant": (-1, 1)}
    sheet, words = actions.draw(remote, "ddpm", 3, 1, "", "7", "", {"thickness": 0.5})
    assert words.startswith("Seed 7, thickness 0.5, ") and sheet[0, 0] == 50
    assert (remote.film("ddpm", 3, None, 7, None, thickness=1.0) == 255).all()


@pytest.mark.slow
def test_a_server_draws_what_this_process_draws(exported, served_preset):
    from serving.client import Client, errors
    from serving.local_server.options import Options
    from serving.server import running

    local, options = Local([str(served_preset)]), Options(model_base_path=exported, port=0, rest_api_port=0)
    with running(options) as server, Client(f"http://localhost:{server.rest_api_port}") as client:
        remote = Remote({"ddpm": client.wait_ready()}, (errors.ServingError,))
        sheet, words = actions.draw(remote, "ddpm", 3, 3, "2", "7", "")
        expected, _ = actions.draw(local, local.presets[0], 3, 3, "2", "7", "")
        assert words.startswith("Seeds 7 to 9, ") and np.abs(sheet.astype(int) - expected).max() <= 1
        image, mask = actions.canvas(remote, "ddpm", 3, "7")[0], np.arange(784).reshape(28, 28) < 392
        restored = remote.restore("ddpm", image, mask, 3, [7, 8])
        assert restored.shape == (2, 28, 28)
        np.testing.assert_array_equal(restored[1][~mask], image[~mask])
        html, words = actions.film(remote, "ddpm", 3, "2", "7", "")
        assert "data:image/gif" in html and "seed 7" in words
        with pytest.raises(remote.failures, match="digit"):
            actions.draw(remote, "ddpm", 12, 3, "2", "7", "")
