"""The rules of who imports whom, and that importing the package is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_ddpm"

LAYERS = [
    {"algebra", "backends", "conditions", "config", "noise", "saving", "schedules", "types"},
    {"checks", "codec", "data", "diffusion", "networks", "shards"},
    {"guidance", "samplers"},
    {"generator"},
    {"presets"},
    {"runtimes"},
    {"api", "evaluation", "guides", "rejection"},
    {"restoration", "editing"},
    {"demo", "synthesis", "training"},
    {"cli"},
]
"""Modules and folders of keras_ddpm. One may import its own layer and those above it in this list."""
WHEN_CALLED = {
    "networks/autoencoder.py": {"presets"},
    "networks/unet.py": {"presets"},
    "generator.py": {"presets", "guides"},
}
"""What a file imports further down: for `from_preset`, and for a guide, which is a judge's network."""
TENSORFLOW = {
    "backends/compiled.py",
    "backends/gradients.py",
    "cli/run.py",
    "data/datasets.py",
    "shards/tfrecord.py",
    "training/train_step.py",
    "training/distribution/devices.py",
    "training/distribution/processes.py",
    "training/distribution/side_by_side.py",
    "training/optimizer.py",
}
"""The files of the library that have TensorFlow, TFDS or JAX as their subject, beside evaluation's CLIP."""
ARRAYS_ONLY = ("metrics", "judges", "probes", "corruptions", "page")


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


def room(path):
    """The module or folder of keras_ddpm that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


ROOMS = {room(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if room(path) in ROOMS]


def ours(path):
    parts = [name.split(".") for name in imported(path) if name.startswith("keras_ddpm.")]
    return {part[1] for part in parts} & ROOMS


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_one_way(path):
    layer = next(i for i, layer in enumerate(LAYERS) if room(path) in layer)
    allowed = set().union(*LAYERS[: layer + 1])
    assert ours(path) - WHEN_CALLED.get(str(path.relative_to(PACKAGE)), set()) <= allowed


def test_every_module_has_its_layer():
    assert set().union(*LAYERS) == ROOMS


def test_a_folder_holds_about_a_dozen_files():
    folders = {path.parent for path in FILES} - {PACKAGE}
    crowded = {str(folder.relative_to(PACKAGE)): len(list(folder.glob("[a-z]*.py"))) for folder in folders}
    assert max(crowded.values()) <= 13, crowded


def test_metrics_and_judges_see_arrays_only():
    for folder in ARRAYS_ONLY:
        files = list((PACKAGE / "evaluation" / folder).glob("*.py"))
        assert files
        for path in files:
            assert ours(path) <= {"evaluation", "data", "saving", "types"}, path.name


def test_tensorflow_is_imported_only_where_it_is_the_subject():
    for path in FILES:
        if room(path) != "evaluation" and str(path.relative_to(PACKAGE)) not in TENSORFLOW:
            names = {name.split(".")[0] for name in imported(path)}
            assert not names & {"tensorflow", "tensorflow_datasets", "jax"}, path.name


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
