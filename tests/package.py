"""Builds the wheel from a copy of the repository, and installs it into an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEEDED = ("keras_ddpm", "export", "serving", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def build_wheel(folder):
    """The wheel, built in a copy, so that nothing of an earlier build can be in it."""
    copy = folder / "copy"
    copy.mkdir()
    for name in NEEDED:
        source = ROOT / name
        copy_one = shutil.copytree if source.is_dir() else shutil.copy
        copy_one(source, copy / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel, folder):
    """The Python of a fresh environment with the wheel, which sees the packages of this one but not its keras_ddpm."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = folder.glob("lib/*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")  # an editable install is not followed there
    return python


def pip(*args):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def run(*args, cwd, timeout=600):
    """Run a command outside the repository."""
    hidden = ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [str(arg) for arg in args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
