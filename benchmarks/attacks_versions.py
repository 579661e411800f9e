"""Attacks on the folder of versions: an export that is killed, versions half copied, new versions under load.

Each attack is a function of (target, truth, tally, scale); `attacks.watched` holds it against what must survive.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

from benchmarks.attacks_wires import GrpcWire, RestWire

PATIENCE = 300  # seconds for a version to load, or an export to come as far as it must
STEADY_PAUSE = 0.05  # seconds between two requests of a client: loading takes the processor too
STAGES = (".partial-*", ".partial-*/saved_model.pb", ".partial-*/variables/*", ".partial-*/assets.extra/tf_serving_*")
CUTS = {  # a file and the share of it that is left
    "no graph": ("saved_model.pb", None),
    "half a graph": ("saved_model.pb", 0.5),
    "half of the weights": ("variables/variables.data*", 0.5),
    "no index": ("variables/variables.index", None),
    "half an index": ("variables/variables.index", 0.5),
    "an empty graph": ("saved_model.pb", 0),
    "most of the weights": ("variables/variables.data*", 0.99),
    "half of the warm-up": ("assets.extra/tf_serving_warmup_requests", 0.5),
    "7 bytes of the warm-up": ("assets.extra/tf_serving_warmup_requests", 1e-9),
}


def kill_export(target, truth, tally, scale):
    """kill -9 at the moment that each part of the export appears: no version comes of it, or a complete one."""
    for stage in STAGES[: scale.kills]:
        before = target.newest()
        command = [sys.executable, "-m", "export", "--preset", str(scale.preset), "--out", str(target.base)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _wait(lambda s=stage, p=process: any(target.base.glob(s)) or p.poll() is not None, pause=0.001)
            process.kill()
        tally.note("export killed" if process.returncode < 0 else f"export ended with {process.returncode}")
        time.sleep(1)  # some looks at the folder
        if target.newest() > before:
            _settle(target, tally, target.newest(), "AVAILABLE")
        for folder in target.base.glob(".partial-*"):
            shutil.rmtree(folder)


def half_copy(target, truth, tally, scale):
    """Version folders with a part missing or cut short: none is served."""
    for name, (pattern, share) in list(CUTS.items())[: scale.half_copies]:
        folder = target.base / str(target.newest() + 1)
        shutil.copytree(truth.folder, folder.with_name(".cut"))
        [path] = folder.with_name(".cut").glob(pattern)
        path.unlink() if share is None else os.truncate(path, max(int(path.stat().st_size * share), 7 if share else 0))
        folder.with_name(".cut").rename(folder)
        _settle(target, tally, int(folder.name), "END")
        tally.note(f"half-copied: {name}")
        shutil.rmtree(folder)


def slow_copy(target, truth, tally, scale):
    """A version copied straight into its numbered folder, in pieces, with pauses: each is seen half-copied."""
    folder = target.base / str(target.newest() + 1)
    for path in sorted(path for path in truth.folder.rglob("*") if path.is_file()):
        copy, content = folder / path.relative_to(truth.folder), path.read_bytes()
        copy.parent.mkdir(parents=True, exist_ok=True)
        step = max(1, -(-len(content) // scale.half_copies))
        for start in range(0, len(content) or 1, step):
            with copy.open("ab") as file:
                file.write(content[start : start + step])
            time.sleep(0.3)
    _settle(target, tally, int(folder.name), "AVAILABLE")
    tally.note("copied in pieces and served")


def reload(target, truth, tally, scale):
    """New versions under load: every request of every client is answered, and right."""
    stop, answered = threading.Event(), []
    threads = [
        threading.Thread(target=_ask_on, args=(target, truth, tally, i, stop, answered)) for i in range(scale.steady)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(scale.reloads):
            number = target.newest() + 1
            shutil.copytree(truth.folder, target.base / f".{number}")
            (target.base / f".{number}").rename(target.base / str(number))
            _settle(target, tally, number, "AVAILABLE")
            _settle(target, tally, number - 1, "END")
            tally.note("versions reloaded")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if len(answered) < scale.steady:
        tally.fault(f"only {len(answered)} replies came while versions changed")


def _ask_on(target, truth, tally, i, stop, answered):
    """A client of `reload`; any error is a fault."""
    wires = GrpcWire(target.port), RestWire(target.rest_port)
    while not stop.is_set():
        i += 1
        reply = truth.ask(wires[i % 2], tally, i)
        if not reply.fine:
            tally.fault(f"a request failed during a reload: {reply.code} {reply.text[:200]}")
        answered.append(reply.code)
        time.sleep(STEADY_PAUSE)
    wires[0].close()


def _settle(target, tally, number, state):
    """Wait until a version is in a state; that it does not come to it is a fault."""
    seen = {}

    def there():
        reply = RestWire(target.rest_port).send(None, path="/v1/models/ddpm", method="GET")
        found = json.loads(reply.body)["model_version_status"] if reply.fine else []
        seen.update({int(status["version"]): status["state"] for status in found})
        return seen.get(number) == state

    if not _wait(there, pause=0.1):
        tally.fault(f"version {number} must become {state}; versions are {seen}")


def _wait(condition, *, pause):
    end = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return met
