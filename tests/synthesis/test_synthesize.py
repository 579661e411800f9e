"""The pipeline: killed, with other workers, failing shards, in a bucket, it makes the same bytes; or one sentence."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import fake_bucket
import pytest
from fake_drawing import contents, draw

from keras_ddpm.cli.main import main
from keras_ddpm.shards.dataset import ShardedImages
from keras_ddpm.synthesis import filters, shard, synthesize

SMALL = {"n": 90, "shard_size": 20, "batch": 10, "format": "npz"}


@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr(shard, "drawer", lambda plan: draw)


@pytest.fixture
def bucket(monkeypatch):
    for store in (fake_bucket.FILES, fake_bucket.UPLOADS, fake_bucket.CLOSED):
        store.clear()
    return "mem://bucket/digits"


def command(preset, out, *flags):
    size = ["--n", "240", "--shard-size", "20", "--batch", "20"]
    return ["synthesize", *size, "--preset", str(preset), "--out", str(out), *flags]


def start(*args):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-m", "keras_ddpm", *args], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def undisturbed(small_preset, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "digits"
    main(command(small_preset, out))
    return contents(out)


def test_a_run_that_is_killed_and_started_again_has_the_bytes_of_an_undisturbed_one(
    small_preset, tmp_path, undisturbed, capsys
):
    out, entries = tmp_path / "digits", tmp_path / "digits" / ".shards"
    running = start(*command(small_preset, out, "--batch", "20"))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        if entries.is_dir() and len(list(entries.glob("0*.json"))) >= 2:
            break
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    finished = len(list(entries.glob("0*.json")))
    assert 2 <= finished < 12 and not json.loads((out / "manifest.json").read_text())["complete"]
    (out / ".partial-0123.digits-train.tfrecord-00007-of-00012").write_bytes(b"half a shard")
    main(command(small_preset, out))
    assert f"{finished} verified, {12 - finished} written" in capsys.readouterr().out
    assert contents(out) == undisturbed


@pytest.mark.parametrize(
    "mode, workers", [("multi_threading", "3"), pytest.param("multi_processing", "2", marks=pytest.mark.slow)]
)
def test_several_workers_write_the_bytes_of_one(small_preset, tmp_path, undisturbed, mode, workers):
    out = tmp_path / "digits"
    main(command(small_preset, out, "--", "--direct_running_mode", mode, "--direct_num_workers", workers))
    assert contents(out) == undisturbed


def test_the_manifest_adds_up_and_the_images_are_read_again(faked, small_preset, tmp_path):
    found = synthesize(out=tmp_path / "digits", preset=small_preset, **SMALL)
    assert found["done"] == {"written": 5} and found["images"] == 90 and found["labels"] == [9] * 10
    assert [entry["seeds"] for entry in found["shards"]] == [[0, 19], [20, 39], [40, 59], [60, 79], [80, 89]]
    read = list(ShardedImages(tmp_path / "digits").batches())
    seeds = [seed for batch in read for seed in batch.seeds.tolist()]
    assert seeds == list(range(90))
    for images, labels, seeds in read:
        assert (draw(labels, None, seeds) == images).all()


def test_a_shard_that_fails_is_tried_again_and_harms_no_other(faked, small_preset, tmp_path, monkeypatch):
    calls, ensure = [], shard.ensure

    def shaky(plan, i, folder):
        calls.append(i)
        if i == 2 and calls.count(2) < 3:
            raise RuntimeError("lost connection")
        return ensure(plan, i, folder)

    synthesize(out=tmp_path / "steady", preset=small_preset, **SMALL)
    monkeypatch.setattr(shard, "ensure", shaky)
    synthesize(out=tmp_path / "shaky", preset=small_preset, **SMALL)
    assert sorted(calls) == [0, 1, 2, 2, 2, 3, 4]
    assert contents(tmp_path / "shaky") == contents(tmp_path / "steady")


def test_shards_that_go_on_failing_are_one_sentence_and_the_next_run_writes_them(
    faked, small_preset, tmp_path, monkeypatch
):
    ensure, out = shard.ensure, tmp_path / "digits"

    def broken(plan, i, folder):
        if i in (1, 3):
            raise RuntimeError("no such luck")
        return ensure(plan, i, folder)

    with monkeypatch.context() as patch:
        patch.setattr(shard, "ensure", broken)
        with pytest.raises(OSError, match=r"^2 of 5 shards could not be written, the first because: no such luck\. "):
            synthesize(out=out, preset=small_preset, **SMALL)
    assert len(list(out.glob("*.npz"))) == 3
    with pytest.raises(ValueError, match="is not finished"):
        ShardedImages(out)
    assert synthesize(out=out, preset=small_preset, **SMALL)["done"] == {"verified": 3, "written": 2}
    synthesize(out=tmp_path / "other", preset=small_preset, **SMALL)
    assert contents(out) == contents(tmp_path / "other")


def test_a_second_run_draws_nothing_and_mends_what_is_damaged(small_preset, tmp_path, monkeypatch):
    drawn, out = [], tmp_path / "digits"

    def counted(digits, w, seeds):
        drawn.extend(seeds.tolist())
        return draw(digits, w, seeds)

    monkeypatch.setattr(shard, "drawer", lambda plan: counted)
    synthesize(out=out, preset=small_preset, **SMALL)
    before = contents(out)
    drawn.clear()
    assert synthesize(out=out, preset=small_preset, **SMALL)["done"] == {"verified": 5} and drawn == []
    (out / "train-00003-of-00005.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"train-00003-of-00005.npz in .* is damaged: its SHA-256 is wrong"):
        list(ShardedImages(out).batches())
    assert synthesize(out=out, preset=small_preset, **SMALL)["done"] == {"verified": 4, "repaired": 1}
    assert drawn == list(range(60, 80)) and contents(out) == before


def test_a_data_set_from_before_there_was_a_temperature_goes_on(faked, small_preset, tmp_path):
    synthesize(out=tmp_path / "digits", preset=small_preset, **SMALL)
    manifest = tmp_path / "digits" / "manifest.json"
    older = json.loads(manifest.read_text())
    assert older["settings"].pop("temperature") == 1.0
    manifest.write_text(json.dumps(older))
    assert synthesize(out=tmp_path / "digits", preset=small_preset, **SMALL)["done"] == {"verified": 5}


def test_a_bucket_gets_the_bytes_of_a_folder_under_partial_names_first(faked, small_preset, bucket, tmp_path):
    settings = {**SMALL, "format": "tfrecord"}
    synthesize(out=tmp_path / "digits", preset=small_preset, **settings)
    assert synthesize(out=bucket, preset=small_preset, **settings)["done"] == {"written": 5}
    there = {path.removeprefix(f"{bucket}/"): content for path, content in fake_bucket.FILES.items()}
    assert there == contents(tmp_path / "digits")
    assert all(path.rpartition("/")[2].startswith(".partial-") for path in fake_bucket.UPLOADS)
    fake_bucket.FILES[f"{bucket}/.shards/.partial-1.x"] = b"left behind"
    assert synthesize(out=bucket, preset=small_preset, **settings)["done"] == {"verified": 5}
    assert f"{bucket}/.shards/.partial-1.x" not in fake_bucket.FILES
    assert sum(len(batch.labels) for batch in ShardedImages(bucket).batches()) == 90


def fails(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.startswith("error: ") and error.count("\n") == 1, error


def test_an_unwritable_bucket_is_one_sentence(faked, small_preset, bucket, capsys):
    fake_bucket.CLOSED.append(bucket)
    fails(capsys, command(small_preset, bucket), f"Cannot write to '{bucket}': 403 no permission")
    assert fake_bucket.FILES == {}


def test_a_bucket_that_closes_while_shards_are_written_is_one_sentence(
    faked, small_preset, bucket, capsys, monkeypatch
):
    synthesize_shard = shard.write

    def write(plan, i, folder, **kwargs):
        fake_bucket.CLOSED.append(bucket)
        return synthesize_shard(plan, i, folder, **kwargs)

    monkeypatch.setattr(shard, "write", write)
    fails(capsys, command(small_preset, bucket), "shards could not be written")
    assert list(fake_bucket.FILES) == [f"{bucket}/manifest.json"]


def test_a_full_disk_is_one_sentence_and_no_half_file(faked, small_preset, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    fails(capsys, command(small_preset, tmp_path / "digits"), "12 of 12 shards could not be written, the first because")
    assert list(contents(tmp_path / "digits")) == ["manifest.json"]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--n", "0"], "`n` must be an integer in 1"),
        (["--shard-size", "0"], "`shard_size` must be an integer in 1"),
        (["--proportions", "0.5", "0.5"], "`proportions` must be 10 numbers"),
        (["--min-confidence", "2"], "`min_confidence` must be in (0, 1]"),
        (["--preset", "nowhere"], "`preset` must be one of"),
        (["--sampler", "euler"], "`sampler` must be one of"),
        (["--out", "file/digits"], "Cannot write to the folder 'file/digits'"),
        (["--out", "/proc/digits"], "Cannot write to the folder '/proc/digits'"),
        (["--out", "nothing://bucket"], "`out` cannot be used: "),
        (["--out", "."], "`out` must be empty, or hold this data set. Received: '.' with file"),
        (["--", "--runner", "NoRunner"], "NoRunner"),
    ],
)
def test_bad_input_is_one_line_before_any_work(small_preset, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.setattr(shard, "drawer", lambda plan: pytest.fail("work was done"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    fails(capsys, [*command(small_preset, "digits"), *flags], message)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


def test_an_unknown_format_is_named_with_the_choices(small_preset, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(command(small_preset, tmp_path / "digits", "--format", "jpeg"))
    error = capsys.readouterr().err
    assert "tfrecord" in error and "parquet" in error and not (tmp_path / "digits").exists()


def test_a_folder_with_another_data_set_is_refused_before_any_work(faked, small_preset, tmp_path, capsys):
    out = tmp_path / "digits"
    synthesize(out=out, preset=small_preset, **SMALL)
    before = contents(out)
    with pytest.raises(ValueError, match=r"holds another data set, of n = 90, seed = 0\. Choose another `out`"):
        synthesize(out=out, preset=small_preset, **{**SMALL, "n": 100, "seed": 5})
    (out / "manifest.json").write_text('{"name": "someone else\'s"}')
    with pytest.raises(ValueError, match=r"manifest.json in .* is not of a data set in shards"):
        synthesize(out=out, preset=small_preset, **SMALL)
    assert contents(out).keys() == before.keys()


def test_filters_and_proportions_are_counted_in_the_manifest(faked, small_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(filters, "of_plan", lambda plan: {"confidence": lambda images, digits: digits != 1})
    shares = (0.5, 0.5) + (0.0,) * 8
    found = synthesize(out=tmp_path / "digits", preset=small_preset, proportions=shares, **SMALL)
    assert found["labels"] == [45] + [0] * 9 and found["removed"] == {"confidence": 45} and found["images"] == 45


def test_without_beam_the_extra_is_named(small_preset, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'keras_ddpm\[synthesize\]'"):
        synthesize(out=tmp_path / "digits", preset=small_preset, **SMALL)
    assert not (tmp_path / "digits").exists()
