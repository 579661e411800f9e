"""The built wheel holds everything, and works in another folder, without the repository."""

import subprocess
import tomllib
import zipfile
from pathlib import Path

import package
import pytest

import keras_ddpm

ROOT = Path(__file__).parent.parent
DATA = (".json", ".h5", ".html", ".j2", ".md", ".png", ".sh", ".yaml", ".yml", ".template", ".typed", ".config")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return package.build_wheel(tmp_path_factory.mktemp("wheel"))


def test_every_module_is_in_the_wheel_under_keras_ddpm_and_nothing_else_is(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"keras_ddpm/{path}" for top in ("export", "serving", "configs") for path in relative(f"{top}/**/*.py")}
    modules |= relative("keras_ddpm/**/*.py")
    assert {name for name in names if name.endswith(".py")} == modules
    assert {name.split("/")[0] for name in names} == {"keras_ddpm", f"keras_ddpm-{keras_ddpm.__version__}.dist-info"}


def test_the_files_beside_the_modules_are_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {path for path in relative("keras_ddpm/**/*") if path.endswith(DATA)}
    files |= {f"keras_ddpm/{path}" for path in relative("serving/deploy/**/*") if not path.endswith(".gitignore")}
    assert "keras_ddpm/py.typed" in files and any(path.endswith(".weights.h5") for path in files)
    assert files <= names, sorted(files - names)


def test_every_import_is_a_declared_dependency():
    """By the names that packages are installed under; what is imported within a function counts too."""
    import ast
    import sys

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {name(d) for d in project["dependencies"]}
    used = ("lite", "onnx", "openvino", "demo", "synthesize")
    optional = {name(d) for extra in used for d in extras[extra]}
    with_extras = declared | optional | {name(d) for extra in ("serving", "jax") for d in extras[extra]}
    installed_as = {
        "PIL": "pillow",
        "google": "protobuf",
        "grpc": "grpcio",
        "grpc_health": "grpcio-health-checking",
        "keras_hub": "keras-nlp",
        "sklearn": "scikit-learn",
        "tensorflow_serving": "tensorflow-serving-api",
    }
    ours = {"keras_ddpm", "export", "serving", "configs"}
    for top, allowed in (
        ("keras_ddpm", declared | optional | {"jax", "torch"}),
        ("export", with_extras),
        ("serving", with_extras),
    ):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
                for module in {module.split(".")[0] for module in modules} - ours - set(sys.stdlib_module_names):
                    needed = installed_as.get(module, module.replace("_", "-"))
                    assert needed in allowed | {"protobuf"}, f"{path} imports {module}"


def name(dependency):
    for end in "<>=[; ":
        dependency = dependency.partition(end)[0]
    return dependency.replace("_", "-").lower()


def relative(pattern):
    """Files of the repository that git knows or would add, as paths from its root."""
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file()}
    ignored = ("__pycache__", ".egg-info", ".partial")
    found = {path for path in found if not any(part in path for part in ignored)}
    return found & set(known.stdout.splitlines()) if known.returncode == 0 else found


@pytest.mark.slow
def test_the_installed_package_draws_trains_exports_and_has_the_client(wheel, mnist, tmp_path):
    import numpy as np

    python = package.install(wheel, tmp_path / "environment")
    work = tmp_path / "work"
    work.mkdir()
    program = python.with_name("keras-ddpm")
    where = package.run(python, "-c", "import keras_ddpm; print(keras_ddpm.__file__)", cwd=work)
    assert Path(where.strip()).is_relative_to(tmp_path / "environment")
    assert package.run(program, "--version", cwd=work) == f"keras_ddpm {keras_ddpm.__version__}\n"
    package.run(program, "sample", "7", "--steps", "2", "--out", "seven.png", cwd=work)
    package.run(program, "evaluate", "--help", cwd=work)

    arrays = {f"{letter}_{split}": a[:1000] for split, pair in mnist.items() for letter, a in zip("xy", pair)}
    np.savez(work / "mnist.npz", **arrays)
    train = "train --config tiny --dataset mnist.npz --train-images 640 --validation-images 100 --epochs 1"
    package.run(program, *train.split(), "--grid-every", "0", "--out", "run", cwd=work)
    package.run(program, "sample", "3", "--preset", "./run", "--out", "three.png", cwd=work)

    package.run(python, "-m", "keras_ddpm.export", "--preset", "./run", "--steps", "2", "--out", "models/run", cwd=work)
    package.run(python, "-m", "keras_ddpm.export", "verify", "--hash-only", "models/run", cwd=work)
    package.run(python, "-c", "from keras_ddpm.serving.client import Client", cwd=work)
    written = {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}
    assert {"seven.png", "three.png", "run/network.weights.h5", "models/run/1/saved_model.pb"} <= written
