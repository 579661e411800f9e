"""The demo's page: twenty visitors at once, and a visit in a real browser."""

import concurrent.futures
import io

import numpy as np
import pytest
from PIL import Image

import keras_ddpm
from keras_ddpm.demo.sources import Local

VISITORS = 20


@pytest.fixture(scope="module")
def presets(small_preset, attributes_preset):
    """The small preset, twice, and one with attributes."""
    return [str(small_preset), f"{small_preset}/.", str(attributes_preset)]


@pytest.fixture(scope="module")
def address(presets):
    """The demo with the small preset, open."""
    from keras_ddpm.demo import app

    page = app.build(Local(presets))
    yield app.launch(page)
    page.close()


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.get_by_role("button", name="Draw", exact=True).wait_for()
    yield page
    page.close()


def test_twenty_visitors_at_once_each_get_the_picture_of_their_seed(address, presets):
    from gradio_client import Client

    visitor = Client(address, verbose=False, download_files=True)

    def visit(i):
        path, words = visitor.predict(presets[0], i % 10, 1, "", str(100 + i), "", api_name="/draw")
        return np.asarray(Image.open(path).convert("L"))[::10, ::10], words

    with concurrent.futures.ThreadPoolExecutor(VISITORS) as pool:
        visits = list(pool.map(visit, range(VISITORS)))
    digit = np.arange(VISITORS) % 10
    expected = keras_ddpm.sample(digit, seed=100 + np.arange(VISITORS), preset=presets[0])
    for i, (drawn, words) in enumerate(visits):
        assert words.startswith(f"Seed {100 + i}, ")
        assert np.abs(drawn.astype(int) - expected[i]).max() <= 1, i


def test_the_page_is_on_this_machine_alone_and_asks_nobody_else(browser, address):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_role("button", name="Draw", exact=True).wait_for()
    page.wait_for_timeout(1000)  # a page with a queue is never idle
    assert address.startswith("http://127.0.0.1:")
    assert len(asked) > 5 and all(url.startswith((address, "data:", "blob:")) for url in asked)
    page.close()


def test_a_visitor_draws(page):
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Seed").first.fill("5")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("Seeds 5 to 12, ").wait_for()
    assert page.locator(".picture img").first.evaluate("image => image.naturalWidth") == 4 * 142 - 2


def choose(page, preset):
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Preset").first.click()
    page.get_by_role("option", name=preset, exact=True).click()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_preset_with_attributes_has_a_slider_for_each(page, presets, width):
    page.set_viewport_size({"width": width, "height": 844})
    choose(page, presets[2])
    tick = {
        name: page.get_by_role("checkbox", name=name).filter(visible=True) for name in ("thickness", "slant", "smiles")
    }
    for box in tick.values():
        box.wait_for()
    slider = page.get_by_role("slider", name="slant").filter(visible=True)
    slider.fill("0.5")
    assert tick["slant"].is_checked() and not tick["thickness"].is_checked()
    tick["smiles"].check()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Seed").first.fill("5")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("Seeds 5 to 12, slant 0.5, smiles 0.5, ").wait_for()
    png = page.request.get(page.locator(".picture img").first.get_attribute("src")).body()
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("L"))[:140:5, :140:5].astype(int)
    assert np.abs(sheet - keras_ddpm.sample(7, seed=5, preset=presets[2], slant=0.5, smiles=0.5)).max() <= 1
    choose(page, presets[0])
    tick["thickness"].wait_for(state="hidden")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text(r"Seeds 5 to 12, ").filter(has_not_text="slant").wait_for()


def test_a_wrong_field_is_a_sentence_on_the_page(page):
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Seed").first.fill("seven")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("The seed must be a whole number from 0 to").wait_for()
    page.get_by_label("Seed").first.fill("")


def test_a_visitor_watches_a_film(page):
    page.get_by_role("tab", name="Film").click()
    page.get_by_role("button", name="Show the film").click()
    page.locator("img.film").wait_for()
    assert page.locator("img.film").evaluate("image => image.naturalWidth") == 280


@pytest.mark.slow
def test_a_visitor_paints_over_a_digit_and_has_it_restored(page):
    page.get_by_role("tab", name="Restore").click()
    page.get_by_role("button", name="Draw a digit").click()
    painter, answer = page.locator("canvas").first, page.get_by_text("painted over, ")
    painter.scroll_into_view_if_needed()
    box = painter.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for _ in range(10):  # the painter does not say when the digit is there, and a stroke before that is lost
        page.wait_for_timeout(1500)
        page.mouse.move(x - 80, y)
        page.mouse.down()
        page.mouse.move(x + 80, y, steps=8)
        page.mouse.up()
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Restore", exact=True).click()
        page.wait_for_timeout(2000)
        if answer.is_visible():
            break
    share = int(answer.inner_text().split(" % ")[0].split()[-1])
    assert 3 < share < 60


def test_a_visitor_compares_two_presets(page):
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("button", name="Draw with both").click()
    page.get_by_text("Seeds").filter(visible=True).nth(1).wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    for name in ("Draw", "Film", "Restore", "Compare"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
