"""The command line of train.py: three flags of its own, and one for each field of the configuration."""

import dataclasses
import pathlib
import runpy
import sys
from typing import Annotated

import tyro

from keras_ddpm.config import Config, from_json


@dataclasses.dataclass(frozen=True)
class TrainingArguments:
    config: pathlib.Path = pathlib.Path("configs/mnist.py")
    """Python file with `get_config()`; the other flags override its values. With --resume, the run's own are kept."""
    out: pathlib.Path | None = None
    """Folder of the run. Default: runs/ and the configuration's name."""
    resume: bool = False
    """Continue the run in `out` after its last finished epoch."""
    values: Annotated[Config, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Config)


def parse_training(description, args=None):
    """Parse the command line of train.py.

    Args:
        description: Text for --help.
        args: Arguments; those of the process if None.

    Returns:
        `Config`, the folder of the run as a path, and whether to resume.

    Raises:
        SystemExit: with one clear message, if the arguments, the configuration or the folder cannot be used.
    """
    parsed = parse_values(description, sys.argv[1:] if args is None else args)
    out = parsed.out or pathlib.Path("runs") / parsed.values.name
    _check_folder(out, parsed.resume)
    return parsed.values, out, parsed.resume


def parse_values(description, args):
    """The same without a look at the folder.

    Args:
        description: Text for --help.
        args: Arguments.

    Returns:
        `TrainingArguments`.

    Raises:
        SystemExit: with one clear message, if the arguments or the configuration cannot be used.
    """
    where, _ = tyro.cli(_Where, args=[a for a in args if a not in ("-h", "--help")], return_unknown_args=True)
    default = TrainingArguments(where.config, values=_base(where))
    return tyro.cli(
        TrainingArguments, default=default, args=args, description=description, config=(tyro.conf.OmitArgPrefixes,)
    )


@dataclasses.dataclass(frozen=True)
class _Where:
    """The flags that say where the other flags' defaults are."""

    config: pathlib.Path = pathlib.Path("configs/mnist.py")
    out: pathlib.Path | None = None
    name: str | None = None
    resume: bool = False


def _base(where):
    """The configuration that the flags override: the file's, or that of the run to resume."""
    config = _from_file(where.config)
    saved = (where.out or pathlib.Path("runs") / (where.name or config.name)) / "config.json"
    if not where.resume:
        return config
    try:
        return from_json(saved.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: there is no run to resume, since {saved} cannot be read: {error}") from error


def _from_file(path):
    try:
        return runpy.run_path(str(path))["get_config"]()
    except Exception as error:  # whatever a user's file may raise
        raise SystemExit(f"error: {path} must be a Python file with get_config(): {error!r}") from error


def _check_folder(out, resume):
    if any((out / name).exists() for name in ("state.weights.h5", "network.weights.h5")) and not resume:
        raise SystemExit(f"error: {out} holds a run already. Continue it with --resume, or choose another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SystemExit(f"error: cannot write to {out}: {error}") from error
