"""A page that draws digits in the browser, without a server: a folder for any file server.

python -m web --preset mnist_fast --out web/dist
python -m http.server --directory web/dist

The folder holds the page as it is in `web/`, the network as `python -m export --format onnx` writes it, the table of
its steps, and `multiply.wat` assembled. The page fetches nothing from anywhere else.
"""

import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import tyro

from keras_ddpm import presets
from keras_ddpm.cli import interrupt
from keras_ddpm.cli.run import run
from keras_ddpm.runtimes import files as network_files
from keras_ddpm.runtimes.steps import steps_of
from keras_ddpm.saving import files

SOURCE = pathlib.Path(__file__).parent
PAGE = ("*.html", "*.css", "*.js", "*.svg")


@dataclasses.dataclass(frozen=True)
class Build:
    """Write the page that draws digits in the browser, with its network, into a folder for any file server."""

    preset: str = presets.ONE_CALL
    """Name of a shipped preset that draws in a few calls, or a folder written by train.py."""
    out: pathlib.Path = SOURCE / "dist"
    """Folder to write. One that an earlier build wrote is replaced; any other must be new or empty."""

    def run(self) -> None:
        interrupt.advise(lambda: "No page was written.")
        print(f"{self.out}: {build(self.preset, self.out) / 1e6:.2f} MB")


def build(preset: str | pathlib.Path, out: pathlib.Path) -> int:
    """Write the page's folder, complete or not at all.

    Args:
        preset: Name of a shipped preset with guidance baked in, or a folder written by train.py.
        out: Folder to write.

    Returns:
        Its size in bytes.

    Raises:
        ValueError: for an unknown preset, one that the page cannot draw with, or if a package is missing.
        OSError: if the folder cannot be written, or holds something else.
    """
    described = describe(preset)
    _check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.partial_folder(out.parent) as partial:
        for pattern in PAGE:
            for path in SOURCE.glob(pattern):
                shutil.copy(path, partial)
        (partial / "multiply.wasm").write_bytes(_assembled())
        (partial / "network.onnx").write_bytes(_network(preset))
        (partial / "preset.json").write_text(json.dumps(described) + "\n", encoding="utf-8")
        partial.chmod(0o755)  # for the file server
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    return sum(path.stat().st_size for path in out.iterdir())


def describe(preset: str | pathlib.Path) -> dict[str, Any]:
    """What the page must know of a preset: its shape, and the table of steps for each number of them.

    Raises:
        ValueError: for an unknown preset, or one that the page cannot draw with.
    """
    config, image_shape, num_classes = presets.read_config(preset)
    sampling = config.sampling
    for name, known in (("guidance", "none"), ("threshold", "static")):
        if getattr(sampling, name) != known:
            raise ValueError(
                f"`preset` must have `{name}` {known!r}: the page draws with few-step presets alone. "
                f"Received: {str(preset)!r} with {getattr(sampling, name)!r}"
            )
    if config.data.attributes:
        raise ValueError(
            "`preset` must have no attributes: the page asks for a digit and a seed alone. "
            f"Received: {config.data.attributes}"
        )
    if image_shape[-1] != 1 or num_classes > 10:
        raise ValueError(f"`preset` must draw grey digits. Received: {image_shape}, {num_classes} classes")
    choices = sampling.trained_steps or (sampling.steps,)
    tables = {steps: steps_of(presets.with_sampling(config, steps=steps)).to_values() for steps in choices}
    return {"name": config.name, "image_shape": image_shape, "num_classes": num_classes, "steps": tables}


def _network(preset: str | pathlib.Path) -> bytes:
    """The preset's ONNX file: the one beside its weights, or a new one."""
    try:
        return network_files.read(presets.find(preset), "onnx")[0]
    except ValueError:  # there is none, or it is of other weights
        from export import formats

        formats.check_format("onnx")
        with tempfile.TemporaryDirectory() as folder:
            formats.export(preset, "onnx", out=folder, notify=lambda words: print(words, file=sys.stderr, flush=True))
            return network_files.read(pathlib.Path(folder), "onnx")[0]


def _assembled() -> bytes:
    try:
        import wasmtime
    except ImportError as error:
        raise ValueError("Building the page needs an assembler: pip install wasmtime") from error
    return bytes(wasmtime.wat2wasm((SOURCE / "multiply.wat").read_text(encoding="utf-8")))


def _check_out(out: pathlib.Path) -> None:
    """A folder of somebody else's is not removed."""
    if out.exists() and not (out.is_dir() and ((out / "preset.json").is_file() or not any(out.iterdir()))):
        raise OSError(f"`out` must be a new folder, or one that `python -m web` wrote. Received: {str(out)!r}")


def main(args: Sequence[str] | None = None) -> None:
    """Build the page; an error in what was asked for is one line and exit status 2."""
    given = sys.argv[1:] if args is None else list(args)
    run(lambda: tyro.cli(Build, args=given, prog="python -m web").run())


if __name__ == "__main__":
    main()
