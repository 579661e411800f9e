"""Attacks on the folder of versions: an export that is killed, versions half copied, new versions under load.

Each attack is a function of (target, truth, tally, scale); `attacks.watched` holds it against what must survive.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time

from benchmarks.attacks_doors import GrpcDoor, RestDoor, predict_body, predict_message

AVAILABLE, END = "AVAILABLE", "END"
PATIENCE = 300  # seconds for a version to load, or an export to come as far as it must
STEADY_PAUSE = 0.05  # seconds between two requests of a client: loading takes the processor too
STAGES = (".partial-*", ".partial-*/saved_model.pb", ".partial-*/variables/*", ".partial-*/assets.extra/tf_serving_*")


def kill_export(target, truth, tally, scale):
    """kill -9 at the moment that each part of the export appears: no version comes of it, or a complete one."""
    for stage in STAGES[: scale.kills]:
        before = target.newest()
        _forget_partial(target)
        command = [sys.executable, "-m", "export", "--preset", str(scale.preset), "--out", str(target.base)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _wait(lambda s=stage, p=process: any(target.base.glob(s)) or p.poll() is not None, pause=0.001)
            process.kill()
        tally.note("export killed" if process.returncode < 0 else f"export ended with {process.returncode}")
        time.sleep(1)  # some looks at the folder
        if target.newest() > before:
            _settle(target, tally, target.newest(), AVAILABLE)
    _forget_partial(target)


def half_copy(target, truth, tally, scale):
    """Version folders with a part missing or cut short: none is served."""
    for name, spoil in list(SPOILT.items())[: scale.half_copies]:
        folder = target.base / str(target.newest() + 1)
        shutil.copytree(truth.folder, folder.with_name(".spoilt"))
        spoil(folder.with_name(".spoilt"))
        folder.with_name(".spoilt").rename(folder)
        _settle(target, tally, int(folder.name), END)
        tally.note(f"half-copied: {name}")
        shutil.rmtree(folder)


def slow_copy(target, truth, tally, scale):
    """A version copied straight into its numbered folder, in pieces, with pauses: each is seen half-copied."""
    folder = target.base / str(target.newest() + 1)
    for path in sorted(truth.folder.rglob("*")):
        copy = folder / path.relative_to(truth.folder)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        pieces = min(scale.half_copies, len(content)) or 1
        for i in range(pieces):
            with copy.open("ab") as file:
                file.write(content[i * len(content) // pieces : (i + 1) * len(content) // pieces])
            time.sleep(0.3)
    _settle(target, tally, int(folder.name), AVAILABLE)
    tally.note("copied in pieces and served")


def reload(target, truth, tally, scale):
    """New versions under load: every request of every client is answered, and right."""
    stop, answered, clients = threading.Event(), [], range(scale.steady)
    threads = [threading.Thread(target=_ask_on, args=(target, truth, tally, i, stop, answered)) for i in clients]
    for thread in threads:
        thread.start()
    try:
        for _ in range(scale.reloads):
            number = target.newest() + 1
            shutil.copytree(truth.folder, target.base / f".{number}")
            (target.base / f".{number}").rename(target.base / str(number))
            _settle(target, tally, number, AVAILABLE)
            _settle(target, tally, number - 1, END)
            tally.note("versions reloaded")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if len(answered) < len(clients):
        tally.fault(f"only {len(answered)} answers came while versions changed")


def _ask_on(target, truth, tally, i, stop, answered):
    """A client of `reload`; any error is a fault."""
    door, rest = GrpcDoor(target.port), RestDoor(target.rest_port)
    while not stop.is_set():
        i = (i + 1) % len(truth.requests)
        request = truth.requests[i]
        by_rest = len(answered) % 2
        answer = (
            rest.send(predict_body(request)) if by_rest else door.send(predict_message(request).SerializeToString())
        )
        tally.count(answer)
        if not answer.fine:
            tally.fault(f"a request failed during a reload: {answer.code} {answer.text[:200]}")
        else:
            tally.compare(answer, truth.images[i])
        answered.append(answer.code)
        time.sleep(STEADY_PAUSE)
    door.close()


def _settle(target, tally, number, state):
    """Wait until a version is in a state; that it does not come to it is a fault."""
    seen = {}

    def there():
        seen.update(states(target))
        return seen.get(number) == state

    if not _wait(there, pause=0.1):
        tally.fault(f"version {number} must become {state}; versions are {seen}")


def states(target):
    """Versions as REST has them: dict of number -> name of the state."""
    import json

    answer = RestDoor(target.rest_port).send(None, path="/v1/models/ddpm", method="GET")
    found = json.loads(answer.body)["model_version_status"] if answer.fine else []
    return {int(status["version"]): status["state"] for status in found}


def _wait(condition, *, pause):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def _forget_partial(target):
    for folder in target.base.glob(".partial-*"):
        shutil.rmtree(folder)


def _cut(name, share):
    def spoil(folder):
        [path] = folder.glob(name)
        os.truncate(path, int(path.stat().st_size * share))

    return spoil


def _remove(name):
    def spoil(folder):
        for path in folder.glob(name):
            with contextlib.suppress(IsADirectoryError):
                path.unlink()

    return spoil


SPOILT = {
    "no graph": _remove("saved_model.pb"),
    "half a graph": _cut("saved_model.pb", 0.5),
    "half of the weights": _cut("variables/variables.data*", 0.5),
    "no index": _remove("variables/variables.index"),
    "half an index": _cut("variables/variables.index", 0.5),
    "an empty graph": _cut("saved_model.pb", 0),
    "most of the weights": _cut("variables/variables.data*", 0.99),
    "nothing": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "half of the warm-up": _cut("assets.extra/tf_serving_warmup_requests", 0.5),
}
