"""The static page in headless Chromium: bytes, time to load, and time to draw a digit.

python -m web && python -m benchmarks.web_page

Load is from the start of the navigation to the first digit on the page, each time in a browser without a cache, from a
file server on this machine. A digit's time is the page's own, in its worker: noise, network, grey levels.
"""

import argparse
import functools
import http.server
import json
import pathlib
import shutil
import sys
import threading

import numpy as np

from benchmarks import machine

LOADS, DIGITS = 5, 100
ASK = """steps => new Promise((done, fail) => {
  const worker = new Worker("worker.js", { type: "module" }), times = [];
  worker.onmessage = ({ data }) => {
    if (data.failed) fail(data.failed);
    if (data.ms) times.push(data.ms);
    if (times.length === %d) { worker.terminate(); done(times); }
    else worker.postMessage({ digit: times.length %% 10, seed: BigInt(times.length), steps });
  };
})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def measure(browser, address, folder):
    """Rows of (what, middle, slowest tenth)."""
    loads = []
    for _ in range(LOADS):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#digit[data-drawn]")
        loads.append(page.evaluate("performance.now()"))
        context.close()
    yield "load", loads
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#digit[data-drawn]")
    for steps in json.loads((folder / "preset.json").read_text())["steps"]:
        yield f"a digit, calls of the network: {steps}", page.evaluate(ASK % DIGITS, int(steps))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("web/dist"))
    folder = parser.parse_args().folder
    chromium = shutil.which("chromium")
    if not (folder / "preset.json").is_file() or chromium is None:
        sys.exit("error: this needs the built page (python -m web) and Chromium (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(f"{machine.describe()}, Chromium {browser.version}")
        print(f"{sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.2f} MB")
        print("\n| | middle, ms | slowest tenth, ms |\n|---|---|---|")
        for what, times in measure(browser, f"http://127.0.0.1:{server.server_port}/", folder):
            print(f"| {what} | {np.median(times):.1f} | {np.quantile(times, 0.9):.1f} |", flush=True)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
