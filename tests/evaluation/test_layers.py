"""Evaluation's folders depend on each other in one direction, and only a few files know a generator."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "keras_ddpm" / "evaluation"
FREE = {"arrays", "memoize", "figures"}
ALLOWED = {
    "corruptions": FREE,
    "judges": FREE | {"corruptions"},
    "metrics": FREE | {"corruptions", "judges"},
    "probes": FREE | {"judges"},
    "page": FREE,
}
LIBRARY = {"data", "pictures", "saving", "types"}  # what functions of arrays may use of the library


def imports(path):
    """Full names of what a file imports of keras_ddpm."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("keras_ddpm.")}


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_those_below_it(folder):
    for path in (PACKAGE / folder).glob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[1] == "evaluation":
                assert parts[2] in ALLOWED[folder] | {folder}, f"{path.name} imports {name}"
            else:
                assert parts[1] in LIBRARY, f"{path.name} imports {name}"


def test_folders_are_small_enough_to_read():
    folders = [PACKAGE, *(path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__")]
    for folder in folders:
        assert len([path for path in folder.iterdir() if path.is_file()]) <= 13, folder.name
