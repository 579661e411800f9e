"""keras-ddpm train, and the arguments of train.py: a few options of their own, and one for each configuration field."""

import dataclasses
import os
import pathlib
import runpy
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import tyro

from keras_ddpm.cli import interrupt
from keras_ddpm.config import Config, Devices, from_json, recipe_from_json
from keras_ddpm.saving import files
from keras_ddpm.training.distribution import cluster

DESCRIPTION = "Train a model. Each field of the configuration is an option, with the configuration's value as default."
STATE = ("state.weights.h5", "network.weights.h5")  # what a run's folder holds after its first epoch
RECIPE = "recipe.json"  # and that of a run of several stages, from its beginning


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a model: `keras-ddpm train --help` lists the options, one for each field of the configuration."""

    def run(self) -> None:
        run([], program="keras-ddpm train")


@dataclasses.dataclass(frozen=True)
class TrainingArguments:
    config: str = "mnist"
    """Name of a shipped configuration, or a Python file with `get_config()`; the other options override its values.
    With --resume, the run's own are kept. Of a recipe of several stages, options of data, network and diffusion
    override those of all stages, others those of the last."""
    out: pathlib.Path | None = None
    """Folder of the run. Default: runs/ and the configuration's name."""
    resume: bool = False
    """Continue the run in `out` after its last finished epoch."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)
    values: Annotated[Config, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Config)


def run(args: Sequence[str], *, program: str) -> None:
    """Parse the arguments of `keras-ddpm train`, and train."""
    train(parse_training(DESCRIPTION, args, program=program))


class Training(NamedTuple):
    """What was asked for: a configuration, or a recipe's stages; the run's folder; whether to resume; the devices."""

    config: Config | tuple[Config, ...]
    out: pathlib.Path
    resume: bool
    devices: Devices


def train(training: Training) -> None:
    """Train, and say where the result is."""
    import keras_ddpm

    config, out, resume, devices = training
    keras_ddpm.train(config, out, resume=resume, devices=devices)
    if not devices.process:
        last = config[-1] if isinstance(config, tuple) else config
        alone = last.training.objective == "autoencoder"
        then = f"Diffuse in its latents with: --codec {out}" if alone else f"Draw with: --preset {out}"
        print(f"Best weights, configuration, logs and pictures are in {out}. {then}")


def parse_training(
    description: str, args: Sequence[str] | None = None, *, program: str = "python train.py"
) -> Training:
    """Parse the command line of a training. Nothing is written; from here on, Ctrl-C says how to resume.

    Args:
        description: Text for --help.
        args: Arguments; those of the process if None.
        program: How the command is called.

    Returns:
        `Training`, with the devices of this process.

    Raises:
        ValueError: if the configuration or the devices cannot be used, or the folder holds a run already.
        OSError: if the folder cannot be written to.
        SystemExit: with status 2, if the arguments cannot be parsed.
    """
    parsed = parse_values(description, sys.argv[1:] if args is None else args, program=program)
    devices = cluster.resolve(parsed.devices, os.environ)
    out = parsed.out or pathlib.Path("runs") / parsed.values.name
    if not parsed.resume and any((out / name).exists() for name in (*STATE, RECIPE)):
        raise ValueError(f"{str(out)!r} holds a run already. Continue it with --resume, or choose another --out.")
    files.probe_folder(out)
    interrupt.advise(lambda: _how_to_resume(out, program))
    return Training(_stages(parsed), out, parsed.resume, devices)


def parse_values(description: str, args: Sequence[str], *, program: str = "python train.py") -> TrainingArguments:
    """The same without a look at the folder."""
    where, _ = tyro.cli(_Where, args=[a for a in args if a not in ("-h", "--help")], return_unknown_args=True)
    return tyro.cli(
        TrainingArguments,
        default=TrainingArguments(where.config, values=_base(where)),
        args=args,
        prog=program,
        description=description,
        config=(tyro.conf.OmitArgPrefixes,),
    )


@dataclasses.dataclass(frozen=True)
class _Where:
    """The options that say where the other options' defaults are."""

    config: str = "mnist"
    out: pathlib.Path | None = None
    name: str | None = None
    resume: bool = False


def _base(where: _Where) -> Config:
    """The configuration that the options override: the file's, or that of the run to resume; a recipe's last."""
    return _recipe(where)[-1]


def _recipe(where: _Where) -> tuple[Config, ...]:
    """The stages of the run to resume, or of the file; one for a plain configuration."""
    if where.resume and where.out is not None:
        return _of_run(where.out)
    stages = from_file(where.config)
    return _of_run(pathlib.Path("runs") / (where.name or stages[-1].name)) if where.resume else stages


def _stages(parsed: TrainingArguments) -> Config | tuple[Config, ...]:
    """The configuration that was asked for, with the stages before it, if there are any."""
    earlier = _recipe(_Where(parsed.config, parsed.out, parsed.values.name, parsed.resume))[:-1]
    last = parsed.values
    shared: dict[str, Any] = {"data": last.data, "network": last.network, "diffusion": last.diffusion}
    return (*(dataclasses.replace(stage, **shared) for stage in earlier), last) if earlier else last


def _of_run(out: pathlib.Path) -> tuple[Config, ...]:
    try:
        if (out / RECIPE).exists():
            return recipe_from_json((out / RECIPE).read_text())
        return (from_json((out / "config.json").read_text()),)
    except (OSError, ValueError) as error:
        raise ValueError(f"There is no run to resume in {str(out)!r}: config.json cannot be read: {error}") from error


def shipped() -> dict[str, pathlib.Path]:
    """The shipped configurations by name: of the installed package, or of the repository."""
    package = pathlib.Path(__file__).parents[1]
    folder = package / "configs" if (package / "configs").is_dir() else package.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def from_file(config: str) -> tuple[Config, ...]:
    """The configuration of a Python file, or the stages of its recipe: at least one.

    Args:
        config: Path of the file, or the name of a shipped one.

    Raises:
        ValueError: if there is none, or `get_config()` fails.
    """
    path = shipped().get(config, pathlib.Path(config))
    if not path.is_file():
        raise ValueError(f"`config` must be a Python file, or one of {list(shipped())}. Received: {config!r}")
    try:
        found = runpy.run_path(str(path))["get_config"]()
    except Exception as error:  # whatever a user's file may raise
        raise ValueError(f"{str(path)!r} must be a Python file with get_config(): {error!r}") from error
    stages = found if isinstance(found, tuple) else (found,)
    if not stages or not all(isinstance(stage, Config) for stage in stages):
        raise ValueError(
            f"get_config() in {str(path)!r} must return a keras_ddpm.Config, or a tuple of them. "
            f"Received: {found!r:.60}"
        )
    return stages


def _how_to_resume(out: pathlib.Path, program: str) -> str:
    if not (out / STATE[0]).exists() and not (out / RECIPE).exists():
        return "No epoch was finished, so there is nothing to resume."
    return f"Continue with: {program} --out {out} --resume"
