"""Attacks on the folder of versions: an export that is killed, versions half copied, new versions under load.

Each attack is a function of (target, truth, tally, scale); `watch.watched` holds it against what must survive.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time

from benchmarks.attacks.target import clients, wait
from benchmarks.attacks.wires import RestWire
from export import versions

STEADY_PAUSE = 0.1  # seconds, at most, between two requests of a client: loading takes the processor too
STAGES = (".partial-*/", ".partial-*/saved_model.pb", ".partial-*/variables/*", ".partial-*/assets.extra/tf_serving_*")
CUTS = {  # a file, and the share (a float) or the number of its bytes that is left; None: no file
    "no graph": ("saved_model.pb", None),
    "half a graph": ("saved_model.pb", 0.5),
    "half of the weights": ("variables/variables.data*", 0.5),
    "no index": ("variables/variables.index", None),
    "half an index": ("variables/variables.index", 0.5),
    "an empty graph": ("saved_model.pb", 0),
    "most of the weights": ("variables/variables.data*", 0.99),
    "half of the warm-up": ("assets.extra/tf_serving_warmup_requests", 0.5),
    "7 bytes of the warm-up": ("assets.extra/tf_serving_warmup_requests", 7),
}


def kill_export(target, truth, tally, scale):
    """kill -9 at the moment that each part of the export appears: no version comes of it, or a complete one."""
    command = [sys.executable, "-m", "export", "--preset", str(scale.preset), "--out", str(target.base)]
    for stage in STAGES[: scale.kills]:
        number = versions.next_number(target.base)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            there = wait(lambda s=stage, p=process: any(target.base.glob(s)) or p.poll() is not None, pause=0.001)
            process.kill()
        if not there or process.returncode > 0:
            tally.fault(f"an export must come as far as {stage}. It ended with {process.returncode}")
        tally.note("export killed" if process.returncode < 0 else f"export ended with {process.returncode}")
        time.sleep(1)  # some looks at the folder
        if versions.next_number(target.base) > number:
            _settle(target, tally, number, "AVAILABLE")
        for folder in target.base.glob(".partial-*/"):
            shutil.rmtree(folder)


def half_copy(target, truth, tally, scale):
    """Version folders with a part missing or cut short, each with a number of its own: none is served."""
    folders = []
    for name, (pattern, left) in itertools.islice(CUTS.items(), scale.half_copies):
        copy = shutil.copytree(truth.folder, target.base / ".copy")
        [path] = copy.glob(pattern)
        if left is None:
            path.unlink()
        else:
            os.truncate(path, left if isinstance(left, int) else int(left * path.stat().st_size))
        folders.append(versions.publish(copy, target.base))
        _settle(target, tally, int(folders[-1].name), "END")
        tally.note(f"half-copied: {name}")
    for folder in folders:
        shutil.rmtree(folder)


def slow_copy(target, truth, tally, scale):
    """A version copied straight into its numbered folder, in pieces, with pauses: each is seen half-copied."""
    number = versions.next_number(target.base)
    for path in sorted(path for path in truth.folder.rglob("*") if path.is_file()):
        copy, content = target.base / str(number) / path.relative_to(truth.folder), path.read_bytes()
        copy.parent.mkdir(parents=True, exist_ok=True)
        step = max(1, -(-len(content) // scale.half_copies))
        for start in range(0, len(content) or 1, step):
            with copy.open("ab") as file:
                file.write(content[start : start + step])
            time.sleep(0.3)
    _settle(target, tally, number, "AVAILABLE")
    tally.note("copied in pieces and served")


def reload(target, truth, tally, scale):
    """New versions under load: every request of every client is answered, and right."""
    with clients(target, truth, tally, scale.steady, pause=STEADY_PAUSE):
        for _ in range(scale.reloads):
            copy = shutil.copytree(truth.folder, target.base / ".copy")
            answered = tally.answered()
            number = int(versions.publish(copy, target.base).name)
            _settle(target, tally, number, "AVAILABLE")
            _settle(target, tally, number - 1, "END")
            if tally.answered() == answered:
                tally.fault(f"nobody was answered while version {number} came")
            tally.note("versions reloaded")


def _settle(target, tally, number, state):
    """Wait until a version is in a state; that it does not come to it is a fault."""

    def states():
        reply = RestWire(target.rest_port).send(None, path="/v1/models/ddpm", method="GET")
        found = json.loads(reply.body)["model_version_status"] if reply.fine else []
        return {int(status["version"]): status["state"] for status in found}

    if not wait(lambda: states().get(number) == state):
        tally.fault(f"version {number} must become {state}; versions are {states()}")
