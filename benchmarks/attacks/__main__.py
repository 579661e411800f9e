"""Attacks on the local server, and what it survives.

    python -m export --out models/ddpm
    python -m benchmarks.attacks --model-base-path models/ddpm
    python -m benchmarks.attacks --only fuzz,flood

After each attack the server must be the same process, draw the reference pictures bit for bit over both wires, hold
about as much memory as before and no more files, and have raised no exception that it did not expect. While it lasts,
two honest clients ask for pictures that are known, and must get them. Exit status 1 if anything of this is not so.
"""

import dataclasses
import pathlib
import sys

import tyro

from benchmarks import machine
from benchmarks.attacks.target import Target, Truth
from benchmarks.attacks.watch import ATTACKS, Scale, watched


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
