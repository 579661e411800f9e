"""The documentation as a site: it builds without a warning, needs no other machine, and its commands are run."""

import functools
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
import test_readme

import keras_ddpm
from keras_ddpm.data import load

ROOT = Path(__file__).parent.parent.parent
SNIPPETS = [
    snippet
    for path in sorted((ROOT / "docs" / "guide").glob("*.md"))
    for snippet in re.findall(r"```python\n(.*?)```", path.read_text(), re.S)
]
OTHER_DATA = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "guide" / "other_data.md").read_text(), re.S)
LATENT = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "guide" / "latent.md").read_text(), re.S)
NOT_RUN = {
    "git clone <this repository> && cd keras_ddpm": "there is no repository to clone; continuous integration begins so",
    "python -m keras_ddpm sample 3 --preset runs/mnist": "hours of training; test_package.py draws from a run",
    "python -m keras_ddpm evaluate": "minutes; test_evaluate_command.py runs it on few images",
    "python -m keras_ddpm evaluate --run runs/mnist --n 10000 --cas --out mine": "hours; tested as above without --cas",
    "python train.py --config configs/mnist_attributes.py --out runs/mnist_attributes": (
        "a long training; test_train_attributes.py trains a smaller one"
    ),
    "python -m keras_ddpm sample 7 --n 8 --attributes thickness 0.8 slant -0.3 --preset mnist_attributes": (
        "test_sample_attributes.py runs it with a smaller model"
    ),
    "python -m studies.attributes": "a quarter of an hour; test_attributes_study.py runs a small one",
    "python -m export --preset mnist_attributes --out models/ddpm": (
        "minutes; test_export_attributes.py exports a smaller model"
    ),
    "python -m export --format litert --preset mnist_attributes": (
        "writes into the package; test_runtime_attributes.py exports a smaller model"
    ),
    "python -m keras_ddpm sample 7 --n 8 --attributes thickness 0.8 slant -0.3 --preset mnist_attributes "
    "--runtime litert": "needs the export above; test_runtime_attributes.py",
    "python -m serving.server --model-base-path models/ddpm": "needs the export above; test_server_program.py",
    "python -m serving sample 7 --attributes thickness 0.8 slant -0.3": "needs the server; test_client_attributes.py",
    "python train.py --dataset celeb_a --image-size 64 --attributes Smiling Eyeglasses Male --name faces": (
        "downloads 1.4 GB; test_dataset_attributes.py trains on images made up for it"
    ),
    "python -m keras_ddpm sample 0 --n 8 --attributes Smiling 1 Eyeglasses 0 --preset runs/faces": (
        "needs the training above; test_dataset_attributes.py"
    ),
    **dict.fromkeys(
        [line for block in LATENT for line in block.splitlines() if line],
        "long trainings; test_train_latent.py, test_latent_study.py and test_benchmarks.py run small ones",
    ),
    "python -m keras_ddpm compare report mine": "needs the two above; test_evaluate_command.py",
    **dict.fromkeys(
        [line for block in OTHER_DATA for line in block.splitlines() if line],
        "hours, or a network; test_other_data.py runs them with few images",
    ),
}
"""Commands that no test runs as written, and why."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return out


def blocks(page):
    """The code blocks of a page: pairs of language and text."""
    found = re.findall(r'<div class="(?:language-(\w+) )?highlight"><pre>(.*?)</pre>', page.read_text(), re.S)
    return [(language, html.unescape(re.sub(r"<[^>]+>", "", text)).strip()) for language, text in found]


def test_every_page_of_the_documentation_is_on_the_site(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 15 and all((site / page).is_file() for page in pages)


def test_the_site_asks_no_other_machine_for_anything(site):
    loaded = r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]+)"|<link[^>]*\shref="([^"]+)"|url\(["\']?([^)"\']+)'
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        addresses = ["".join(match) for match in re.findall(loaded, path.read_text())]
        assert not [address for address in addresses if re.match(r"(https?:)?//", address)], path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_search_finds_a_page_in_a_browser_without_another_machine(site, browser):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        page, asked, errors = browser.new_page(viewport={"width": 390, "height": 900}), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        for name in ("api", "report", "guide/extend", "index"):
            page.goto(f"{address}{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        page.click("label.md-header__button[for=__search]")
        page.locator("input.md-search__input").press_sequentially("inpainting")
        page.get_by_text("Restoration and editing", exact=True).locator("visible=true").first.wait_for(timeout=20_000)
        page.close()
        server.shutdown()
    assert asked and all(url.startswith(address) for url in asked) and not errors


def test_every_picture_of_a_page_is_there(site):
    count = 0
    for path in site.rglob("*.html"):
        for source in re.findall(r'<img[^>]*\ssrc="([^"]+)"', path.read_text()):
            count += 1
            assert (path.parent / urllib.parse.unquote(source)).is_file(), (path, source)
    assert count > 40


def test_search_and_the_api_have_every_public_name(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    titles = {re.sub(r"<[^>]+>", "", html.unescape(entry["title"])) for entry in index["docs"]}
    assert {f"keras_ddpm.{name}" for name in keras_ddpm._NAMES} <= titles


def test_every_command_of_the_guide_is_run_or_says_why_not(site):
    targets = {line for line in test_readme.BASH if line.startswith("make")}
    run = {*test_readme.COMMANDS, *test_readme.TRAININGS} | targets
    snippets = {snippet.strip() for snippet in (*test_readme.PYTHON, *SNIPPETS)}
    commands, count = set(), 0
    for page in (site / "index.html", *(site / "guide").glob("*.html")):
        for language, text in blocks(page):
            count += 1
            assert language in ("python", "bash", "text"), (page.name, text)
            if language == "python":
                assert text in snippets, (page.name, text)
            if language == "bash":
                commands |= set(text.splitlines())
    assert count > 10 and len(commands) > 10
    assert commands <= run | set(NOT_RUN), commands - run - set(NOT_RUN)
    assert set(NOT_RUN) <= commands and all("test" in why or "continuous" in why for why in NOT_RUN.values())


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_guides_snippets_run_as_written_and_draw_what_they_say(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = re.compile(r"^(keras_ddpm\.\w+\(.*\))  # .*?(\(\d+(?:, \d+)*\)).*$", re.M)  # with its shape
    found = {"shapes": []}
    exec(compile(call.sub(r"shapes.append(\1.shape)", snippet), "docs/guide", "exec"), found)
    assert list(map(str, found["shapes"])) == [shape for _, shape in call.findall(snippet)]
    if "drawn" in found:
        lies, stands = found["drawn"][..., 0] > 0
        assert lies[3:5].all() and stands[:, 3:5].all() and lies.sum() == stands.sum() == 16
    elif "sets" in found:
        squares = load("squares.npz", "test")
        assert squares.image_shape == (16, 16, 3) and squares.num_classes == 3 and len(squares.images) == 500
        np.testing.assert_array_equal(squares.images[:, 8, 8].argmax(axis=-1), squares.labels)
    elif "ground_colour" in found:
        assert (found["images"][1] == found["ground_colour"][1]).all() and found["digit_colour"].shape == (2, 3)
    elif "autoencoder" in found:
        assert found["z"].shape == (2, 7, 7, 4) and found["x"].shape == (2, 28, 28, 1)
    else:
        assert len(found["shapes"]) >= 4
