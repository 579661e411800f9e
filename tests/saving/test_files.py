"""Files are complete, or as they were; folders that cannot be written to are found before any work."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from keras_ddpm.saving import files

pytestmark = pytest.mark.neutral
ROOT = Path(__file__).parent.parent.parent


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_successful_write_replaces_the_old_file(tmp_path):
    files.write_text(tmp_path / "a.json", "old")
    files.write_text(tmp_path / "a.json", "new – ü")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "new – ü"
    assert names(tmp_path) == ["a.json"]


def test_an_error_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a.json", "old")
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise RuntimeError("the disk is full")
    assert (tmp_path / "a.json").read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_the_partial_name_keeps_the_suffixes(tmp_path):
    with files.atomic(tmp_path / "a.weights.h5") as partial:
        assert partial.name.endswith("a.weights.h5") and partial.parent == tmp_path
        partial.touch()


def test_two_writers_of_one_file_do_not_share_a_partial_name(tmp_path):
    with files.atomic(tmp_path / "a") as first:
        first.write_text("first")
        with files.atomic(tmp_path / "a") as second:
            second.write_text("second")
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_the_next_write_removes_what_a_killed_one_left_an_hour_ago(tmp_path):
    for name, age in ((".partial-0001.a", files.STALE + 60), (".partial-0002.a", 0), (".partial-0003.b", files.STALE)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, (tmp_path / name).stat().st_mtime - age))
    files.write_text(tmp_path / "a", "")
    assert names(tmp_path) == [".partial-0002.a", ".partial-0003.b", "a"]


def test_a_partial_folder_is_renamed_or_removed(tmp_path):
    with files.partial_folder(tmp_path) as folder:
        (folder / "file").touch()
        folder.rename(tmp_path / "1")
    with pytest.raises(RuntimeError), files.partial_folder(tmp_path) as folder:
        (folder / "file").touch()
        raise RuntimeError
    assert names(tmp_path) == ["1"]


def test_a_program_about_to_exit_removes_what_it_was_writing(tmp_path):
    code = f"""
import os, pathlib
from keras_ddpm.saving import files
with files.atomic({str(tmp_path / "a")!r}) as partial, files.partial_folder({str(tmp_path)!r}) as folder:
    partial.touch()
    (folder / "file").touch()
    print(len(os.listdir({str(tmp_path)!r})))
    files.remove_partials()
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-u", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "2\n" and names(tmp_path) == []


@pytest.mark.parametrize("path", ["/proc/x.png", "no/such/folder/x.png", ".", "/dev/null", "a\0b"])
def test_a_file_that_cannot_be_written_is_found_at_once(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="Cannot write"):
        files.check_writable(path)
    assert names(tmp_path) == []


def test_checking_a_file_leaves_it_as_it_was(tmp_path):
    (tmp_path / "a").write_text("old")
    files.check_writable(tmp_path / "a")
    files.check_writable(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_a_folder_is_made_with_its_parents_but_a_probe_leaves_none(tmp_path):
    files.probe_folder(tmp_path / "a" / "b")
    assert names(tmp_path) == []
    files.check_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    files.probe_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("check", [files.check_folder, files.probe_folder])
def test_a_folder_that_cannot_be_written_to_is_one_error(check, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "b", "/proc/b"):
        with pytest.raises(OSError, match="Cannot write to the folder"):
            check(path)
    assert names(tmp_path) == ["file"]


def test_a_file_that_is_too_large_for_the_disk_is_found_before_it_is_written(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        files.reserve(tmp_path / "small", 1000)
        with pytest.raises(OSError, match="Cannot write 1,001 bytes"):
            files.reserve(tmp_path / "large", 1001)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert (tmp_path / "small").stat().st_size == 0
