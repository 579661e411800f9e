"""A data set in shards: what is accumulated over its shards are the figures of the same images in memory."""

import json

import numpy as np
import pytest
from strokes import strokes, write_strokes

from keras_ddpm.__main__ import main
from keras_ddpm.evaluation import evaluate, totals
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.metrics.accuracy import accuracy, confusion
from keras_ddpm.evaluation.metrics.frechet import frechet_distance
from keras_ddpm.evaluation.metrics.pixels import pixels
from keras_ddpm.saving.files import sha256
from keras_ddpm.shards import manifest
from keras_ddpm.shards.batch import Batch
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import Folder

SIZES = (50, 0, 7, 63)
SETTINGS = {"format": "npz", "image_shape": [28, 28, 1], "judge_weights": None}


def cut(images, labels, sizes=SIZES):
    start = 0
    for n in sizes:
        yield Batch(images[start : start + n], labels[start : start + n].astype("int64"), np.arange(start, start + n))
        start += n


def write_data_set(path, images, labels, **settings):
    """A finished data set of these images, a shard for each of `SIZES`."""
    entries, shape = [], {"image_shape": (28, 28, 1), "num_classes": 10}
    for i, batch in enumerate(cut(images, labels)):
        file = FORMATS["npz"].template.format(place=manifest.place(i, len(SIZES)))
        path.mkdir(exist_ok=True)
        FORMATS["npz"].write(path / file, [batch], **shape)
        counts = np.bincount(batch.labels, minlength=10).tolist()
        entry = {"file": file, "count": len(batch.labels), "labels": counts, "removed": {"confidence": i}}
        entries.append(entry | {"bytes": 1, "sha256": sha256(path / file)})
    content = {"complete": True, "settings": SETTINGS | settings, **manifest.total(entries), "shards": entries}
    manifest.write(Folder(path), content)
    return path


@pytest.fixture(scope="module")
def drawn():
    images, labels = strokes(120, seed=5)
    images[::7] = np.random.default_rng(0).integers(0, 256, images[::7].shape, dtype="uint8")
    return images, labels


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_strokes(tmp_path_factory.mktemp("data") / "strokes.npz")


@pytest.fixture
def data_set(drawn, tmp_path):
    return write_data_set(tmp_path / "digits", *drawn)


@pytest.fixture(scope="module")
def added(drawn):
    batches = [batch for batch in cut(*drawn) if len(batch.labels)]
    return totals.read(batches, 120, sample=40, seed=3)


def test_accuracy_confusion_and_pixels_are_those_in_memory(drawn, added):
    found = added[0]
    assert dict(found.accuracy()) == pytest.approx(dict(accuracy(*drawn)), abs=1e-6)
    np.testing.assert_array_equal(found.confusion, confusion(*drawn))
    assert dict(found.pixels()) == pytest.approx(dict(pixels(*drawn)), abs=1e-6)


def test_moments_in_batches_give_the_frechet_distance_in_memory(drawn, added):
    training, classifier = strokes(200, seed=0)[0], load_classifier()
    reference = totals.Moments()
    for start in range(0, 200, 33):
        reference.add(classifier(training[start : start + 33])[1])
    in_memory = frechet_distance(classifier(drawn[0])[1], classifier(training)[1])
    assert in_memory > 0.1 and added[0].moments.frechet(reference) == pytest.approx(in_memory, rel=1e-6)


def test_moments_far_from_zero_lose_no_digits():
    x = 1e4 + np.random.default_rng(0).normal(size=(10_000, 3))
    moments = totals.Moments()
    for part in np.array_split(x, 37):
        moments.add(part)
    np.testing.assert_allclose(moments.scatter / (moments.n - 1), np.cov(x, rowvar=False), atol=1e-6)


def test_the_sample_are_images_of_the_set_with_their_labels_each_once(drawn, added):
    _, images, labels = added
    rows = [int(np.flatnonzero((drawn[0] == image).all(axis=(1, 2, 3)))[0]) for image in images]
    assert len(set(rows)) == 40 and rows == sorted(rows)
    np.testing.assert_array_equal(labels, drawn[1][rows])


def test_evaluation_of_shards_has_the_figures_of_the_same_arrays(drawn, data_set, dataset):
    only = "accuracy,fid,prdc,memorisation,pixels"
    shards = evaluate(data_set, dataset=dataset, only=only)
    arrays = evaluate(drawn, dataset=dataset, only=only)
    assert shards.figures.keys() - arrays.figures.keys() == {"frechet_distance_all"}
    for name, value in arrays.figures.items():
        assert shards.figures[name] == pytest.approx(value, abs=1e-6), name
    assert shards.content["confusion"] == arrays.content["confusion"]


def test_accuracy_is_of_all_images_and_neighbours_of_the_sample(drawn, data_set, dataset):
    report = evaluate(data_set, dataset=dataset, n=100, only="accuracy,prdc")
    assert report.figures["accuracy"]["model"] == pytest.approx(dict(accuracy(*drawn))["accuracy"], abs=1e-6)
    assert np.sum(report.content["confusion"]) == 120 and report.content["n"] == 100
    assert "over all 120 images; everything else on 100 of them" in report.content["facts"]["rows"]["shards"]
    assert report.content["facts"]["rows"]["filters"] == "6 removed by confidence."


def test_a_judge_that_chose_the_images_is_named_where_it_measures_them(drawn, dataset, tmp_path):
    from keras_ddpm.synthesis.filters import weights_of

    data_set = write_data_set(tmp_path / "digits", *drawn, judge_weights=weights_of(None))
    report = evaluate(data_set, dataset=dataset, only="pixels")
    assert "The classifier that measures here chose them too" in report.content["facts"]["rows"]["filters"]


def test_the_command_reads_a_folder_in_shards(data_set, dataset, tmp_path, capsys):
    flags = ["--images", str(data_set), "--dataset", str(dataset), "--only", "accuracy,pixels,fid"]
    main(["evaluate", *flags, "--out", str(tmp_path / "report")])
    assert "Data set digits" in capsys.readouterr().out
    result = json.loads((tmp_path / "report" / "report.json").read_text())
    assert "frechet_distance_all" in result["figures"] and result["n"] == 120
    assert "Fréchet distance, all images" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    "harm, message",
    [
        ("unfinished", "is not finished: run its `keras-ddpm synthesize` again"),
        ("damaged", "train-00002-of-00004.npz in"),
        ("gone", "train-00002-of-00004.npz"),
        ("another", "is not of a data set in shards"),
    ],
)
def test_a_data_set_that_cannot_be_trusted_is_one_line(data_set, dataset, tmp_path, capsys, harm, message):
    content = json.loads((data_set / "manifest.json").read_text())
    if harm == "unfinished":
        (data_set / "manifest.json").write_text(json.dumps(content | {"complete": False}))
    elif harm == "another":
        (data_set / "manifest.json").write_text("{}")
    elif harm == "gone":
        (data_set / content["shards"][2]["file"]).unlink()
    else:
        (data_set / content["shards"][2]["file"]).write_bytes(b"damaged")
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--images", str(data_set), "--dataset", str(dataset), "--out", str(tmp_path / "report")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images():
    import tracemalloc

    images, labels = strokes(1000, seed=0)
    batch = Batch(images, labels.astype("int64"), np.arange(1000))

    def peak(shards):
        tracemalloc.start()
        totals.read([batch] * shards, 1000 * shards, sample=1000, seed=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(40) < peak(4) + 2e6
