"""The command line, `keras-ddpm` or `python -m keras_ddpm`: one file a command, parsed by tyro.

A command is a dataclass whose fields are its options, with `run()`. Nothing heavy is imported before `run()`.
"""
