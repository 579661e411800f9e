"""One command line: keras-ddpm COMMAND, one of those that `_commands` lists."""

import dataclasses
import sys
from collections.abc import Sequence

from keras_ddpm import __version__
from keras_ddpm.cli import synthesize
from keras_ddpm.cli.run import run

DESCRIPTION = "Class-conditional diffusion: draw digits, restore, train, measure. --version prints the version."


def main(args: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        args: Arguments; those of the process if None.

    Raises:
        SystemExit: see `keras_ddpm.cli.run.run`.
    """
    args = sys.argv[1:] if args is None else list(args)
    run(lambda: _dispatch(args))


def _dispatch(args: Sequence[str]) -> None:
    if args == ["--version"]:
        print(f"keras_ddpm {__version__}")
        return
    program = "python -m keras_ddpm" if sys.argv[0].endswith("__main__.py") else "keras-ddpm"
    if args[:1] == ["train"]:  # its options' defaults are those of the file that one of them names
        from keras_ddpm.cli import train

        train.run(args[1:], program=f"{program} train")
        return
    import tyro

    args, beam = synthesize.split_beam(list(args)) if args[:1] == ["synthesize"] else (args, ())
    command = tyro.extras.subcommand_cli_from_dict(_commands(), prog=program, description=DESCRIPTION, args=args)
    (dataclasses.replace(command, beam=beam) if beam else command).run()


def _commands() -> dict:
    from keras_ddpm.cli.demo import Demo
    from keras_ddpm.cli.edit import Interpolate, Vary
    from keras_ddpm.cli.info import Info
    from keras_ddpm.cli.judge import Judge
    from keras_ddpm.cli.presets import Presets
    from keras_ddpm.cli.restore import Restore
    from keras_ddpm.cli.sample import Sample
    from keras_ddpm.cli.train import Train
    from keras_ddpm.evaluation.command import Compare, Evaluate

    return {
        "sample": Sample,
        "restore": Restore,
        "vary": Vary,
        "interpolate": Interpolate,
        "train": Train,
        "judge": Judge,
        "evaluate": Evaluate,
        "compare": Compare,
        "synthesize": synthesize.Synthesize,
        "demo": Demo,
        "presets": Presets,
        "info": Info,
    }


if __name__ == "__main__":
    main()
