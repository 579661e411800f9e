"""One attack under watch: the server before and after it, honest clients meanwhile, and what was wrong."""

import collections
import dataclasses
import itertools
import pathlib
import time

from benchmarks.attacks import traffic, versions
from benchmarks.attacks.target import Usage, clients, wait
from benchmarks.attacks.wires import FULL, Tally

ATTACKS = {
    "bytes": traffic.random_bytes,
    "fuzz": traffic.fuzz,
    "sizes": traffic.sizes,
    "guidance": traffic.guidance,
    "hang-up": traffic.hang_up,
    "flood": traffic.flood,
    "kill-export": versions.kill_export,
    "half-copy": versions.half_copy,
    "slow-copy": versions.slow_copy,
    "reload": versions.reload,
}
CROWDED = {"flood", "hang-up"}  # the queue may be full, and say so to honest clients too
MEMORY = 256  # MiB that one attack may leave behind: memory that the allocators keep
SETTLING = 60  # seconds for closed connections to be noticed, and for abandoned work to end
HONEST_PAUSE = 0.4  # seconds, at most


@dataclasses.dataclass(frozen=True)
class Scale:
    """How hard each attack is."""

    preset: str | pathlib.Path = "mnist"  # what is exported again and again, and killed
    requests: int = 10_000  # malformed requests that must be refused
    clients: int = 200  # clients of the flood
    seconds: float = 60.0  # how long the flood lasts
    hang_ups: int = 400  # clients that hang up
    silent: int = 100  # clients of each wire that fall silent meanwhile
    kills: int = len(versions.STAGES)  # exports that are killed
    half_copies: int = len(versions.CUTS)  # kinds of half-copied versions
    reloads: int = 4  # new versions under load
    steady: int = 12  # clients of that load; fewer than the queue holds, so that nobody may be refused
    many: int = 15_000_000  # elements of the largest tensor that is sent


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an attack did, and what was left: `honest` clients' answers, Usage before and after, `faults` in words."""

    seconds: float
    codes: collections.Counter
    honest: int
    before: Usage
    after: Usage
    faults: list[str]


def watched(name, target, truth, scale, attack=None):
    """Attack once, by the name of the attack or with a function in its place, and look at what is left: Outcome."""
    tally, honest = Tally(), Tally()
    _check_references(target, truth, tally)
    before, raised = target.usage(), len(target.raised())
    start = time.monotonic()
    with clients(target, truth, honest, 2, pause=HONEST_PAUSE, may=FULL if name in CROWDED else ()):
        (attack or ATTACKS[name])(target, truth, tally, scale)
    seconds = time.monotonic() - start
    if not target.alive():
        return Outcome(seconds, tally.codes, 0, before, before, [*tally.faults, "the server is dead"])
    _check_references(target, truth, tally)

    def settled():
        usage = target.usage()
        return usage if usage.files <= before.files else None

    after = wait(settled, seconds=SETTLING) or target.usage()
    if after.files > before.files:
        tally.fault(f"files: {before.files} before, {after.files} after")
    if after.memory > before.memory + MEMORY:
        tally.fault(f"memory: {before.memory:.0f} MiB before, {after.memory:.0f} after")
    for error, count in collections.Counter(target.raised()[raised:]).items():
        tally.fault(f"in the log {count} times: {error[:300]}")
    if not honest.answered():
        tally.fault("no honest client was answered")
    faults = [*tally.faults, *(f"an honest client got {fault}" for fault in honest.faults)]
    return Outcome(seconds, tally.codes, honest.answered(), before, after, faults)


def _check_references(target, truth, tally):
    """Known pictures, one by one and over both wires; each must be the same bit for bit."""
    references = Tally()
    with target.wires() as wires:
        for i, wire in itertools.product(range(2), wires):
            truth.ask(wire, references, i, rounded=0)
    for fault in references.faults:
        tally.fault(f"a reference picture: {fault}")
