"""A copy is checked by hash against a manifest, without loading it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from export import manifest
from keras_ddpm.saving.files import sha256

ROOT = Path(__file__).parents[2]


@pytest.fixture
def version(tmp_path):
    """A version's folder with a manifest; only files count here."""
    folder = tmp_path / "ddpm" / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "assets.extra").mkdir()
    for name in ("saved_model.pb", "variables/variables.index", "assets.extra/metadata.json"):
        (folder / name).write_text(name)
    manifest.write(folder)
    return folder


def verify(*args):
    command = [sys.executable, "-m", "export", "verify", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_manifest_lists_every_other_file(version):
    files = manifest.check(version)
    assert set(files) == {"saved_model.pb", "variables/variables.index", "assets.extra/metadata.json"}
    assert all(len(value) == 64 for value in files.values())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda folder: (folder / "saved_model.pb").write_text("x"), "saved_model.pb is not what the manifest says"),
        (lambda folder: (folder / "variables/variables.index").unlink(), "variables/variables.index is missing"),
        (lambda folder: (folder / "variables/more").touch(), "variables/more is not in the manifest"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is not a regular file"),
        (lambda folder: manifest.path_in(folder).unlink(), "There is no manifest"),
        (lambda folder: manifest.path_in(folder).write_text("[]"), "is not a manifest"),
        (lambda folder: manifest.path_in(folder).write_bytes(b"\xff"), "is not a manifest"),
        (lambda folder: manifest.path_in(folder).write_text('{"files": {"../../etc": "0"}}'), "../../etc is missing"),
    ],
)
def test_any_change_is_found(version, change, message):
    assert manifest.is_intact(version)
    change(version)
    with pytest.raises(ValueError) as error:
        manifest.check(version)
    assert message in str(error.value) and not manifest.is_intact(version)


def test_the_command_checks_without_tensorflow(version, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    done = subprocess.run(
        [sys.executable, "-m", "export", "verify", "--hash-only", str(version.parent)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines() == [
        f"{version}: 3 files are those of the manifest",
        f"sha256 of the manifest: {sha256(manifest.path_in(version))}",
    ]


def test_a_copy_with_a_manifest_of_its_own_is_compared_with_the_originals(version, tmp_path):
    original = tmp_path / "manifest.json"
    original.write_text(manifest.path_in(version).read_text())
    (version / "saved_model.pb").write_text("another graph")
    manifest.write(version)
    assert verify("--hash-only", version).returncode == 0
    done = verify("--hash-only", "--manifest", original, version)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "saved_model.pb" in done.stderr


def test_a_changed_copy_is_not_loaded(version):
    (version / "saved_model.pb").write_text("another graph")
    done = verify(version)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "is not what the manifest says" in done.stderr


def test_the_manifest_of_an_export_holds(exported):
    files = manifest.check(exported / "1")
    assert "saved_model.pb" in files and json.loads(manifest.path_in(exported / "1").read_text())["files"] == files
