"""Files are there completely, or as they were."""

import pytest

from keras_ddpm.whole import whole, write_text

pytestmark = pytest.mark.neutral


def test_a_file_that_is_written_well_replaces_the_old_one(tmp_path):
    write_text(tmp_path / "a.json", "old")
    write_text(tmp_path / "a.json", "new – ü")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "new – ü"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_error_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(RuntimeError), whole(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise RuntimeError("the disk is full")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_the_other_name_keeps_the_endings(tmp_path):
    with whole(tmp_path / "a.weights.h5") as partial:
        assert partial.name.endswith("a.weights.h5") and partial.parent == tmp_path
        partial.touch()
