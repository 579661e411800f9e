"""Attacks on the local server, and what it survives.

    python -m export --out models/ddpm
    python -m benchmarks.attacks --model-base-path models/ddpm
    python -m benchmarks.attacks --only fuzz,flood

After each attack the server must be the same process, draw the reference pictures bit for bit over both wires, hold
about as much memory as before and no more files, and have raised no exception that it did not expect. While it lasts,
two honest clients ask for pictures that are known, and must get them. Exit status 1 if anything of this is not so.
"""

import collections
import dataclasses
import itertools
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro

from benchmarks import attacks_clients, attacks_versions, machine
from benchmarks.attacks_target import Target, Truth, Usage, clients, wait
from benchmarks.attacks_wires import FULL, Tally

ATTACKS = {
    "bytes": attacks_clients.random_bytes,
    "fuzz": attacks_clients.fuzz,
    "sizes": attacks_clients.sizes,
    "guidance": attacks_clients.guidance,
    "hang-up": attacks_clients.hang_up,
    "flood": attacks_clients.flood,
    "kill-export": attacks_versions.kill_export,
    "half-copy": attacks_versions.half_copy,
    "slow-copy": attacks_versions.slow_copy,
    "reload": attacks_versions.reload,
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
    kills: int = len(attacks_versions.STAGES)  # exports that are killed
    half_copies: int = len(attacks_versions.CUTS)  # kinds of half-copied versions
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


def line(name, outcome):
    """One line of the table."""
    came = ", ".join(f"{code} {count}" for code, count in sorted(outcome.codes.items()))
    before, after, faults = outcome.before, outcome.after, len(outcome.faults) or "none"
    used = f"{before.memory:.0f} → {after.memory:.0f} | {before.files} → {after.files}"
    return f"| {name} | {outcome.seconds:.0f} | {came} | {outcome.honest} | {used} | {faults} |"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Attack a local server with a copy of a model, and print what it survived."""

    model_base_path: pathlib.Path = pathlib.Path("models/ddpm")
    only: str = ",".join(ATTACKS)
    """Names of attacks, with commas."""
    scale: Scale = dataclasses.field(default_factory=Scale)


def main():
    """Attack, and print the table; exit status 1 if something did not survive."""
    arguments = tyro.cli(Arguments, description=__doc__)
    names = arguments.only.split(",")
    if unknown := set(names) - set(ATTACKS):
        raise SystemExit(f"error: `only` must be of {', '.join(ATTACKS)}. Received: {', '.join(sorted(unknown))}")
    target, faults = Target(arguments.model_base_path), []
    try:
        truth = Truth(target.base / "1")
        print(machine.describe())
        print("| attack | s | what came back | honest answers | memory MiB | files | faults |\n" + "|---" * 7 + "|")
        for name in names:
            outcome = watched(name, target, truth, arguments.scale)
            print(line(name, outcome), flush=True)
            faults += [f"{name}: {fault}" for fault in outcome.faults]
            if not target.alive():
                break
    finally:
        status = target.stop()
    print(f"\nThe server stopped with exit status {status}. " + ("\n".join(faults) if faults else "No faults."))
    return 1 if faults or status else 0


if __name__ == "__main__":
    sys.exit(main())
