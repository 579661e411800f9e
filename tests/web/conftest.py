"""Fixtures: the static page as it is built, and a file server."""

import functools
import http.server
import threading

import pytest


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
