"""One shard: the same bytes every time, nothing half written, what is damaged is written again, filters count."""

import dataclasses
import errno
import os

import numpy as np
import pytest
from fake_drawing import contents, draw
from test_synthesis_plan import make

from keras_ddpm.saving.files import sha256
from keras_ddpm.shards import manifest
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import Folder
from keras_ddpm.synthesis import filters, shard


@pytest.fixture
def made(small_preset):
    return make(small_preset)


@pytest.fixture
def drawn(monkeypatch):
    """The sizes of all batches that were drawn."""
    sizes = []

    def counted(digits, w, seeds):
        sizes.append(len(digits))
        return draw(digits, w, seeds)

    monkeypatch.setattr(shard, "drawer", lambda plan: counted)
    return sizes


def test_an_entry_tells_what_is_in_the_file(made, drawn, tmp_path):
    entry = shard.write(made, 3, Folder(tmp_path))
    (batch,) = FORMATS["npz"].read(tmp_path / entry["file"], image_shape=(28, 28, 1), num_classes=10)
    assert entry["seeds"] == [90, 99] and batch.seeds.tolist() == list(range(90, 100))
    assert entry["labels"] == np.bincount(batch.labels, minlength=10).tolist() and entry["count"] == 10
    assert entry["sha256"] == sha256(tmp_path / entry["file"])
    assert manifest.read_entry(Folder(tmp_path), made.place(3)) == entry


def test_all_batches_have_the_same_size(made, drawn, tmp_path):
    for i in range(made.shards):
        shard.write(made, i, Folder(tmp_path))
    assert set(drawn) == {8}


def test_what_is_there_is_verified_and_not_drawn(made, drawn, tmp_path):
    folder = Folder(tmp_path)
    written = shard.ensure(made, 0, folder)
    drawn.clear()
    assert written[1] == "written" and shard.ensure(made, 0, folder) == (written[0], "verified")
    assert drawn == []


@pytest.mark.parametrize("harm", ["changed", "cut", "gone", "no entry", "entry cut"])
def test_what_is_damaged_is_written_again(made, drawn, tmp_path, harm):
    folder = Folder(tmp_path)
    shard.ensure(made, 0, folder)
    before, file = contents(tmp_path), tmp_path / made.file(0)
    entry = tmp_path / manifest.ENTRIES / f"{made.place(0)}.json"
    if harm == "changed":
        file.write_bytes(file.read_bytes()[:-9] + bytes(9))
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:99])
    elif harm == "gone":
        file.unlink()
    elif harm == "no entry":
        entry.unlink()
    else:
        entry.write_text(entry.read_text()[:20])
    _, how = shard.ensure(made, 0, folder)
    assert how == ("written" if "entry" in harm else "repaired") and contents(tmp_path) == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_sentence_and_no_file(small_preset, drawn, tmp_path, monkeypatch, name):
    made = make(small_preset, format=name)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"^Cannot write .*: .*No space left on device$"):
        shard.write(made, 0, Folder(tmp_path))
    assert contents(tmp_path) == {} and drawn == []


def test_a_disk_that_fills_up_while_writing_is_one_sentence_and_no_file(made, drawn, tmp_path, monkeypatch):
    def full(path, batches, **_):
        path.write_bytes(b"half")
        next(iter(batches))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(FORMATS, "npz", FORMATS["npz"]._replace(write=full))
    with pytest.raises(OSError, match=r"^Cannot write .*train-00000-of-00004.npz': No space left on device$"):
        shard.write(made, 0, Folder(tmp_path))
    assert contents(tmp_path) == {}


def test_filters_remove_and_count_in_order(made, drawn, tmp_path, monkeypatch):
    chosen = {"odd": lambda images, digits: digits % 2 == 1, "three": lambda images, digits: digits != 3}
    monkeypatch.setattr(filters, "of_plan", lambda plan: chosen)
    entry = shard.write(made, 0, Folder(tmp_path))
    digits = made.digits(np.arange(30))
    assert entry["removed"] == {"odd": int((digits % 2 == 0).sum()), "three": int((digits == 3).sum())}
    assert entry["count"] == 30 - sum(entry["removed"].values()) == sum(entry["labels"])
    (batch,) = FORMATS["npz"].read(tmp_path / entry["file"], image_shape=(28, 28, 1), num_classes=10)
    assert set(batch.labels.tolist()) <= {1, 5, 7, 9}


def test_a_shard_of_which_nothing_is_left_is_a_file_too(made, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(filters, "of_plan", lambda plan: {"all": lambda images, digits: np.zeros(len(digits), bool)})
    entry = shard.write(made, 0, Folder(tmp_path))
    assert entry["count"] == 0 and entry["removed"] == {"all": 30}


def test_confidence_is_the_probability_of_the_digit_that_was_asked_for(mnist):
    images, digits = (array[:200] for array in mnist["test"])
    keep = filters.confidence(0.9, None)
    assert keep(images, digits).mean() > 0.9 and keep(images, (digits + 1) % 10).mean() < 0.02


def test_distance_finds_copies_of_training_images(mnist, monkeypatch):
    from keras_ddpm.evaluation.metrics.memorisation import search_among

    monkeypatch.setattr(filters, "_search", lambda dataset: search_among(mnist["train"][0][:500]))
    keep = filters.distance(0.01, "mnist")
    assert not keep(mnist["train"][0][:9], None).any() and keep(mnist["test"][0][:9], None).all()


def test_the_next_batch_is_drawn_while_the_last_is_written(made):
    made_items = []

    def items():
        for i in range(3):
            made_items.append(i)
            yield i

    taken = shard.ahead(items())
    assert next(taken) == 0
    assert list(taken) == [1, 2] and made_items == [0, 1, 2]


def test_an_error_while_drawing_ahead_is_raised(made, tmp_path):
    def broken(digits, w, seeds):
        raise RuntimeError("broken generator")

    with pytest.raises(RuntimeError, match="broken generator"):
        shard.write(dataclasses.replace(made), 0, Folder(tmp_path), draw=broken)
    assert contents(tmp_path) == {}
