"""A preset as a SavedModel for TensorFlow Serving.

python -m export --preset mnist --out models/ddpm
python -m export verify models/ddpm
python -m export verify --hash-only models/ddpm

And as a file for a smaller runtime, which `keras_ddpm.sample(..., runtime="litert")` reads:

python -m export --format litert --preset mnist_fast_v2
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Literal

import tyro

from keras_ddpm import presets
from keras_ddpm.cli import interrupt
from keras_ddpm.cli.run import run

PROGRAM = f"python -m {__package__}"
DEFAULT_OUT = pathlib.Path("models/ddpm")


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the next numbered version of a model, complete and verified, or not at all."""

    format: Literal["savedmodel", "litert", "onnx", "openvino"] = "savedmodel"
    """savedmodel for servers; the others for one runtime without TensorFlow, see docs/runtimes.md."""
    preset: str | None = None
    """Name of a shipped preset, or a folder written by train.py. Default: mnist; for other formats than savedmodel
    mnist_fast_v2, which `sample` draws with."""
    out: pathlib.Path | None = None
    """Folder of the model; the version becomes a folder in it. Default: models/ddpm. For the other formats, a folder
    that needs no other file to draw. Default: beside the preset's weights."""
    sampler: str | None = None
    """ddpm, ddim, dpm_solver_pp_2m or dpm_solver_pp_2m_sde. Default: the preset's own, as for the next two."""
    steps: int | None = None
    """Steps of the sampler, from 1."""
    temperature: float | None = None
    """Standard deviation of x_T. Default: the preset's own."""
    w: float | None = None
    """Guidance that clients use unless they say another."""
    every: int = 5
    """The trajectory keeps every k-th state."""
    if_changed: bool = False
    """Write nothing if the highest version is undamaged and has the same weights and settings already."""
    xla: bool = False
    """Compile the loop with XLA; the server must then be started with --xla_cpu_compilation_enabled (or gpu)."""

    def run(self) -> None:
        sampling = {"sampler": self.sampler, "steps": self.steps, "temperature": self.temperature, "w": self.w}
        if self.format != "savedmodel":
            self._run_format(sampling)
            return
        from .session import check_installed

        check_installed()
        interrupt.advise(lambda: "No version was written.")
        from .savedmodel import export

        version = export(
            presets.DEFAULT if self.preset is None else self.preset,
            DEFAULT_OUT if self.out is None else self.out,
            sampling=sampling,
            every=self.every,
            xla=self.xla,
            if_changed=self.if_changed,
            notify=notify,
        )
        print(version)

    def _run_format(self, sampling: dict) -> None:
        if self.xla or self.if_changed or self.every != Export.every:
            raise ValueError("`every`, `xla` and `if_changed` are for `format` savedmodel alone")
        interrupt.advise(lambda: "No file was written.")
        from .formats import check_format, export

        check_format(self.format)
        preset = presets.ONE_CALL if self.preset is None else self.preset
        print(export(preset, self.format, out=self.out, sampling=sampling, notify=notify))


@dataclasses.dataclass(frozen=True)
class Verify:
    """Load a SavedModel in a session, as a server does, and compare it with keras_ddpm.sample.

    Loading a SavedModel executes its graph, which may do anything. Check a copy from elsewhere by --hash-only first.
    """

    folder: tyro.conf.Positional[pathlib.Path]
    """A version's folder, or the model's: then the highest version."""
    preset: str | None = None
    """What it was exported from. Default: the shipped preset of the name in its metadata."""
    hash_only: bool = False
    """Only compare the files with the manifest, by SHA-256; nothing is loaded or executed."""
    manifest: pathlib.Path | None = None
    """The manifest of the original, if it came another way than the copy. Default: the one in the copy."""

    def run(self) -> None:
        from keras_ddpm.saving.files import sha256

        from . import manifest, versions

        folder = versions.find(self.folder)
        if self.hash_only or self.manifest or manifest.path_in(folder).exists():
            files = manifest.check(folder, manifest=self.manifest)
        if self.hash_only:
            print(f"{folder}: {len(files)} files are those of the manifest")
            print(f"sha256 of the manifest: {sha256(self.manifest or manifest.path_in(folder))}")
            return
        from .session import check_installed

        check_installed()
        from .verify import verify

        for name, value in verify(folder, preset=self.preset, notify=notify).items():
            print(f"{name}: {value}")


def notify(words: str) -> None:
    """Say on stderr what is being done: an export takes minutes."""
    print(words, file=sys.stderr, flush=True)


def main(args: Sequence[str] | None = None) -> None:
    """Run one command; an error in what was asked for is one line and exit status 2."""
    args = sys.argv[1:] if args is None else list(args)
    run(lambda: _parse(args).run())


def _parse(args: Sequence[str]) -> Export | Verify:
    if args[:1] == ["verify"]:
        return tyro.cli(Verify, args=args[1:], prog=f"{PROGRAM} verify")
    return tyro.cli(
        Export,
        args=args,
        prog=PROGRAM,
        description=f"{Export.__doc__} `{PROGRAM} verify DIR` checks one.",
    )


if __name__ == "__main__":
    main()
