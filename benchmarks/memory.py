"""Memory: peak resident memory of sampling many rows with many steps, in a process that does nothing else.

python -m benchmarks.memory --rows 64 --steps 1000
"""

import dataclasses

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import presets
from keras_ddpm.cli.run import run

MIB_OF_GIB = 1024


@dataclasses.dataclass(frozen=True)
class Arguments:
    rows: int = 64
    """Images in the one batch."""
    steps: int = 1_000
    preset: str = "mnist"
    sampler: str = "ddpm"


def peak(rows: int, steps: int, *, preset: str, sampler: str) -> tuple[float, float]:
    """Peak memory of this process in MiB: with a first image of one step drawn, and after drawing."""
    w = presets.read_config(preset)[0].sampling.w
    presets.load_preset(preset, sampler=sampler, steps=1).sample([0], 1.0, [0])
    before = machine.peak_memory()
    digit = np.arange(rows) % 10
    generator = presets.load_preset(preset, sampler=sampler, steps=steps)
    generator.sample(digit, np.broadcast_to(w, (10,))[digit], np.arange(rows))
    return MIB_OF_GIB * before, MIB_OF_GIB * machine.peak_memory()


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    before, after = peak(arguments.rows, arguments.steps, preset=arguments.preset, sampler=arguments.sampler)
    print(machine.describe())
    print(f"{arguments.rows} rows, {arguments.steps} steps of {arguments.sampler}, preset {arguments.preset}:")
    print(f"peak resident memory {after:.0f} MiB, of which {before:.0f} MiB before the batch was drawn")


if __name__ == "__main__":
    run(main)
