"""python -m export: what goes wrong is one line and status 2, and leaves nothing."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import SMALL_FILES, after

from export import __main__ as command
from export import manifest, session

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--preset", "nope"], "`preset` must be one of"),
        (["--sampler", "euler"], "`sampler` must be one of"),
        (["--steps", "0"], "`steps` must be an integer in 1..1000"),
        (["--temperature", "0"], "`temperature` must be a finite number above 0"),
        (["--every", "0"], "`every` must be at least 1"),
        (["--w", "nan"], "`w` must be finite"),
        (["--out", "/proc/models"], "Cannot write to the folder '/proc/models'"),
        (["verify", "nothing-here"], "must be a SavedModel"),
        (["verify", "--hash-only", "nothing-here"], "must be a SavedModel"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_status_2(args, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        command.main(args)
    *words, error = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and error.startswith("error: ") and message in error
    assert all(line.startswith("loading") for line in words)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_error_names_it(monkeypatch, capsys):
    monkeypatch.setattr(session, "NEEDED", ("json", "no_such_package"))
    for args in ([], ["verify", str(ROOT)]):
        monkeypatch.setattr("export.versions.find", lambda folder: folder)
        with pytest.raises(SystemExit) as stop:
            command.main(args)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and error.count("\n") == 1
        assert "pip install 'keras_ddpm[serving]'. Not installed: no_such_package" in error


@pytest.mark.parametrize("damage", ["variables/variables.data-00000-of-00001", "saved_model.pb"])
def test_a_damaged_copy_without_a_manifest_is_one_error(exported, served_preset, tmp_path, capsys, damage):
    copy = shutil.copytree(exported / "1", tmp_path / "1")
    manifest.path_in(copy).unlink()
    (copy / damage).write_bytes((copy / damage).read_bytes()[:1000])
    with pytest.raises(SystemExit) as stop:
        command.main(["verify", str(copy), "--preset", str(served_preset)])
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert stop.value.code == 2 and len(errors) == 1 and "cannot be loaded as a SavedModel" in errors[0]


@pytest.mark.slow
def test_a_full_disk_is_one_error_and_leaves_nothing(served_preset, tmp_path):
    """A limit on the size of files stands for the full disk."""
    done = subprocess.run(
        after(SMALL_FILES, [sys.executable, "-m", "export", "--preset", served_preset, "--out", tmp_path / "ddpm"]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    assert not list((tmp_path / "ddpm").iterdir())


def test_inside_the_package_modules_import_each_other_relatively():
    """So that they work as `export` in a clone and as `keras_ddpm.export` installed."""
    for path in (ROOT / "export").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.split(".")[0] for name in names} & {"export", "serving", "configs"}, path.name
