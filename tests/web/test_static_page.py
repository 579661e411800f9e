"""The static page in a real browser: Python's noise, Python's pictures, its controls, its errors."""

import functools
import http.server
import json
import threading

import numpy as np
import pytest
from conftest import replace_section

import keras_ddpm
from keras_ddpm import noise, presets, runtimes
from keras_ddpm.data.attributes import conditions_of
from keras_ddpm.runtimes import numpy_ops
from keras_ddpm.runtimes.steps import steps_of
from web.__main__ import Build, build, describe

PRESET = Build.preset
DIGITS = [0, 3, 5, 7, 8]
SEEDS = [0, 1, 2**32 - 1, 2**40 + 5, 2**63 - 1]
LIMIT = 3e6  # bytes of the whole folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that `make web` writes."""
    out = tmp_path_factory.mktemp("web") / "dist"
    build(Build.preset, out)
    return out


@pytest.fixture(scope="module")
def address(site):
    """Where a plain file server has the page."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def page(browser, address):
    """The page with its first digit drawn, for all tests that leave it usable."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.wait_for_selector("#digit[data-drawn]")
    yield page
    page.close()


def shown(page, digit, seed, steps=1):
    """Grey levels of the large digit, once it is the one that was asked for."""
    page.wait_for_selector(f"#digit[data-drawn='{digit} {seed} {steps}']")
    return pixels(page, "document.getElementById('digit')")


def pixels(page, canvas):
    read = f"(() => {{ const c = {canvas}; return [...c.getContext('2d').getImageData(0, 0, 28, 28).data]; }})()"
    return np.array(page.evaluate(read)).reshape(28, 28, 4)[..., 0]


def go(page, digit, seed, steps=1):
    page.evaluate(f"location.hash = 'digit={digit}&seed={seed}&steps={steps}'")
    return shown(page, digit, seed, steps)


def test_the_bits_are_pythons(page):
    counter = [np.arange(50, dtype="uint32"), np.full(50, 3, "uint32")]
    for key in noise.split_seed(SEEDS):
        expected = np.stack(noise.threefry_2x32(key, counter, ops=numpy_ops), axis=1)
        blocks = f"[...Array(50).keys()].map(i => threefry({key.tolist()}, [i, 3]))"
        code = f"import('/noise.js').then(({{ threefry }}) => {blocks})"
        np.testing.assert_array_equal(page.evaluate(code), expected)


@pytest.mark.parametrize("shape", [(28, 28, 1), (3, 5, 1)])
def test_the_noise_is_pythons_to_rounding(page, shape):
    for seed in SEEDS:
        expected = noise.normal(noise.split_seed([seed]), 2, shape, ops=numpy_ops).ravel()
        code = f"import('/noise.js').then(m => [...m.normal(m.splitSeed({seed}n), 2, {expected.size})])"
        np.testing.assert_allclose(page.evaluate(code), expected, atol=2e-6)


def test_a_seed_draws_the_picture_of_keras_to_a_grey_level(page):
    expected = keras_ddpm.sample(DIGITS, seed=SEEDS, preset=PRESET).astype(int)
    for digit, seed, image in zip(DIGITS, SEEDS, expected, strict=True):
        assert np.abs(go(page, digit, seed) - image).max() <= 1, (digit, seed)


@pytest.mark.parametrize("steps", [2, 4])
def test_several_calls_draw_the_picture_of_onnx_runtime_to_a_grey_level(page, site, steps):
    config, image_shape, num_classes = presets.read_config(PRESET)
    table = steps_of(presets.with_sampling(config, steps=steps))
    content = [(site / "network.onnx").read_bytes()]
    drawer = runtimes.Drawer(
        content, "onnx", steps=table, image_shape=image_shape, conditions=conditions_of(num_classes, ())
    )
    expected = drawer.images(DIGITS, np.ones(len(DIGITS), "float32"), np.array(SEEDS))[..., 0].astype(int)
    for digit, seed, image in zip(DIGITS, SEEDS, expected, strict=True):
        assert np.abs(go(page, digit, seed, steps) - image).max() <= 1, (digit, seed)


def test_a_tile_of_the_sheet_is_the_large_digit(page):
    large = go(page, 4, 40)
    go(page, 9, 42)
    page.wait_for_selector("#grid button[title='4, seed 44']")  # the sheet has followed
    page.evaluate("location.hash = 'digit=4&seed=38&steps=1'")
    shown(page, 4, 38)  # the page has followed, and draws nothing else after the click
    page.click("#grid button[title='4, seed 40']")
    np.testing.assert_array_equal(shown(page, 4, 40), large)
    tile = "document.querySelector(\"#grid button[aria-pressed='true'] canvas\")"
    np.testing.assert_array_equal(pixels(page, tile), large)


def test_the_last_of_a_drag_is_what_stays(page):
    page.evaluate(
        """(() => { const s = document.getElementById('slider');
           for (let i = 0; i <= 300; i++) { s.value = i; s.dispatchEvent(new Event('input')); } })()"""
    )
    digit = page.evaluate("document.querySelector('input[name=digit]:checked').value")
    drag = shown(page, digit, 300)
    page.wait_for_timeout(200)
    np.testing.assert_array_equal(shown(page, digit, 300), drag)
    assert page.input_value("#seed") == "300" and "seed=300" in page.url


def test_keys_choose_digit_and_seed(page):
    go(page, 1, 5)
    page.click("h1")
    page.keyboard.press("6")
    shown(page, 6, 5)
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    shown(page, 6, 6)
    page.keyboard.press("r")
    page.wait_for_function("document.getElementById('seed').value !== '6'")
    page.focus("#seed")
    page.keyboard.press("Control+a")
    page.keyboard.type("81")  # digits typed into the field are a seed
    shown(page, 6, 81)


@pytest.mark.parametrize(
    "seed", ["1.5", *(pytest.param(seed, marks=pytest.mark.slow) for seed in ("-1", "seven", "", str(2**63)))]
)
def test_a_bad_seed_is_one_sentence_and_the_picture_stays(page, seed):
    before = go(page, 2, 7)
    page.fill("#seed", seed)
    assert page.text_content("#seed-error") == f"The seed must be a whole number from 0 to {2**63 - 1}."
    np.testing.assert_array_equal(shown(page, 2, 7), before)
    page.fill("#seed", "8")
    shown(page, 2, 8)
    assert page.text_content("#seed-error") == ""


def test_an_address_that_makes_no_sense_draws_all_the_same(browser, address):
    page = browser.new_page()
    page.goto(f"{address}#digit=99&seed=x&steps=3")
    shown(page, 7, 0)
    page.close()


@pytest.mark.parametrize(
    "name, answer, sentence",
    [
        ("network.onnx", {"status": 404}, "network.onnx could not be loaded (status 404)."),
        ("network.onnx", {"body": b"no network"}, "The network's file"),
        ("multiply.wasm", {"body": b"no program"}, "WebAssembly"),
        ("preset.json", {"status": 500}, "preset.json could not be loaded (status 500)."),
    ],
)
def test_what_cannot_be_loaded_is_said(browser, address, name, answer, sentence):
    page = browser.new_page()
    page.route(f"**/{name}", lambda route: route.fulfill(**answer))
    page.goto(address)
    page.wait_for_selector("#message.error")
    assert sentence in page.text_content("#message")
    page.close()


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    edges = page.evaluate("[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right)")
    assert max(edges) <= width


def test_all_comes_from_the_folder_and_nothing_is_wrong(browser, address):
    page, asked, wrong = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#digit[data-drawn]")
    assert len(asked) > 5 and all(url.startswith((address, "blob:")) for url in asked) and not wrong
    page.close()


def test_the_folder_is_small(site):
    assert sum(path.stat().st_size for path in site.iterdir()) < LIMIT


def test_the_page_has_the_steps_that_the_preset_was_trained_for(site):
    described = json.loads((site / "preset.json").read_text())
    assert list(described["steps"]) == [str(n) for n in presets.read_config(PRESET)[0].sampling.trained_steps]
    assert all(len(table["columns"]) == int(n) for n, table in described["steps"].items())


def test_a_preset_that_needs_guidance_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"`preset` must have `guidance` 'none'.*Received: 'mnist'"):
        build("mnist", tmp_path / "dist")
    with pytest.raises(ValueError, match="`preset` must be one of"):
        describe("nothing")
    assert not list(tmp_path.iterdir())


def test_a_preset_with_attributes_is_refused_before_any_work(tmp_path):
    config, image_shape, num_classes = presets.read_config(PRESET)
    presets.write_config(tmp_path, replace_section(config, "data", attributes=("slant",)), image_shape, num_classes)
    with pytest.raises(ValueError, match=r"`preset` must have no attributes.* Received: \('slant',\)"):
        build(tmp_path, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="`out` must be a new folder"):
        build(PRESET, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
