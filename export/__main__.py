"""A preset as a SavedModel for TensorFlow Serving.

python -m export --preset mnist --out models/ddpm
python -m export verify models/ddpm
"""

import dataclasses
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the next numbered version of a model, complete and verified, or not at all."""

    preset: str = "mnist"
    """Name of a shipped preset, or a folder written by train.py."""
    out: pathlib.Path = pathlib.Path("models/ddpm")
    """Folder of the model; the version becomes a folder in it."""
    sampler: str | None = None
    """ddpm, ddim, dpm_solver_pp_2m or dpm_solver_pp_2m_sde. Default: the preset's own, as for the next two."""
    steps: int | None = None
    w: float | None = None
    """Guidance that clients use unless they say another."""
    every: int = 5
    """The trajectory keeps every k-th state."""
    if_changed: bool = False
    """Write nothing if the highest version has the same weights and settings already."""
    xla: bool = False
    """Compile the loop with XLA; the server must then be started with --xla_cpu_compilation_enabled (or gpu)."""

    def run(self):
        from export.savedmodel import export

        sampling = {"sampler": self.sampler, "steps": self.steps, "w": self.w}
        options = {"every": self.every, "xla": self.xla, "if_changed": self.if_changed}
        print(export(self.preset, self.out, sampling=sampling, **options))


@dataclasses.dataclass(frozen=True)
class Verify:
    """Load a SavedModel in a session, as a server does, and compare it with keras_ddpm.sample."""

    folder: tyro.conf.Positional[pathlib.Path]
    """A version's folder, or the model's: then the highest version."""
    preset: str | None = None
    """What it was exported from. Default: the shipped preset of the name in its metadata."""

    def run(self):
        from export.verify import verify

        for name, value in verify(self.folder, preset=self.preset).items():
            print(f"{name}: {value}")


def main(args=None):
    """Run one command; an error in what was asked for is one line and exit status 2."""
    args = sys.argv[1:] if args is None else args
    verify = args[:1] == ["verify"]
    command = tyro.cli(
        Verify if verify else Export,
        args=args[1:] if verify else args,
        prog="python -m export verify" if verify else "python -m export",
        description=None if verify else f"{Export.__doc__} `python -m export verify DIR` checks one.",
    )
    try:
        command.run()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
