"""The rules of who imports whom, and that importing the package is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_ddpm"
HERE = {path.stem for path in PACKAGE.glob("*.py")} | {"evaluation"}

ALLOWED = {
    "schedules": set(),
    "config": set(),
    "noise": set(),
    "request": set(),
    "whole": set(),
    "weights": {"whole"},
    "pictures": {"whole"},
    "blocks": set(),
    "data": set(),
    "augment": set(),
    "optimizer": set(),
    "diffusion": {"config", "schedules"},
    "unet": {"blocks"},
    "guidance": set(),
    "samplers": {"diffusion"},
    "training": {"diffusion"},
    "generator": {"config", "guidance", "noise", "request", "samplers"},
    "presets": {"config", "diffusion", "generator", "unet", "weights", "whole"},
    "api": {"data", "generator", "presets", "request"},
}
TENSORFLOW = {"data", "training"}  # where it is the subject


def imported(path):
    """Names of the modules that a file imports, in full."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute, so that these rules see them"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path):
    parts = [name.split(".") for name in imported(path) if name.startswith("keras_ddpm.")]
    return {part[1] for part in parts} & HERE


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_point_one_way(module):
    assert ours(PACKAGE / f"{module}.py") <= ALLOWED[module]


def test_every_module_has_its_rule():
    free = {"__init__", "__main__", "arguments", "callbacks", "evaluation"}  # the edge: these may see everything
    assert HERE - free == set(ALLOWED)


def test_tensorflow_is_imported_only_where_it_is_the_subject():
    for module in HERE - {"evaluation"} - TENSORFLOW:
        names = {name.split(".")[0] for name in imported(PACKAGE / f"{module}.py")}
        assert not names & {"tensorflow", "tensorflow_datasets", "jax"}, module


def test_the_library_does_not_import_its_users():
    for path in PACKAGE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {
            "train",
            "export",
            "studies",
            "serving",
            "configs",
            "benchmarks",
        }


def test_importing_the_package_imports_neither_keras_nor_tensorflow():
    code = "import keras_ddpm, sys; print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_exists_and_others_do_not():
    import keras_ddpm

    assert all(getattr(keras_ddpm, name) for name in keras_ddpm.__all__)
    with pytest.raises(AttributeError, match="no attribute 'draw'"):
        keras_ddpm.draw  # noqa: B018
