"""Fixtures: the static page as it is built, a file server, and one headless Chromium for all tests of a file."""

import functools
import http.server
import os
import shutil
import threading

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, the system's own."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None and not os.environ.get("KERAS_DDPM_REQUIRE_BROWSER"):
        pytest.skip("this test needs Chromium: apt-get install chromium")
    assert path, "Chromium is required here: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # root has no sandbox
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder that `make web` writes."""
    from web.__main__ import Build, build

    out = tmp_path_factory.mktemp("web") / "dist"
    build(Build.preset, out)
    return out


@pytest.fixture(scope="session")
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
