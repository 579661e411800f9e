"""A judge for other data: how it is trained, what lies in its folder, and how `evaluate` measures with it."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from patches import patches, write_patches

from keras_ddpm import config, data, rejection
from keras_ddpm.__main__ import main
from keras_ddpm.data.augmentation import distort
from keras_ddpm.evaluation import evaluate, totals
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.evaluation.callback import EvaluateDuringTraining
from keras_ddpm.evaluation.judges import folder, train_judge
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.metrics.accuracy import confusion
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.evaluation.page import comparison
from keras_ddpm.evaluation.report import read_report
from keras_ddpm.evaluation.sources import Source
from keras_ddpm.synthesis.filters import confidence, weights_of
from keras_ddpm.training.callbacks import drawing

KIND = Kind((10, 12, 3), 4)
FIRST = "accuracy,fid,prdc,diversity,memorisation,pixels"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_patches(tmp_path_factory.mktemp("data") / "patches.npz")


@pytest.fixture(scope="module")
def judged(dataset, tmp_path_factory):
    """The folder of a judge that was trained for a second."""
    out = tmp_path_factory.mktemp("judges") / "patches"
    flags = ["--arch", "wide5x5", "--epochs", "6", "--out", str(out)]
    main(["judge", "--dataset", str(dataset), *flags])
    return out


@pytest.fixture
def copy(judged, tmp_path):
    return shutil.copytree(judged, tmp_path / "copy")


def change(judge, **notes):
    """Write other notes into a judge's folder."""
    path = judge / folder.NOTES
    path.write_text(json.dumps(json.loads(path.read_text()) | notes))


def test_a_judge_learns_the_classes_and_its_folder_says_what_it_knows(judged, dataset):
    assert sorted(path.name for path in judged.iterdir()) == [folder.NOTES, folder.WEIGHTS]
    assert judged.stat().st_mode & 0o777 == 0o755
    notes = folder.read_notes(judged)
    assert folder.kind_of(notes) == load_classifier(judged).kind == KIND
    assert notes["dataset"] == str(dataset) and notes["data_sha256"] == data.load(dataset, "train").fingerprint()
    assert (notes["images"], notes["held_out_images"]) == (270, 30)
    assert min(notes["test_accuracy"], notes["held_out_accuracy"]) > 0.9
    assert notes["command"].startswith(f"python -m keras_ddpm judge --dataset {dataset} --arch wide5x5 --epochs 6")


def test_the_accuracy_in_the_notes_is_that_of_the_written_weights(judged, dataset):
    test, (_, held_out) = data.load(dataset, "test"), data.load(dataset, "train").hold_out(30)
    notes = folder.read_notes(judged)
    for part, name in ((test, "test_accuracy"), (held_out, "held_out_accuracy")):
        right = load_classifier(judged)(part.images)[0].argmax(axis=1) == part.labels
        assert right.mean() == pytest.approx(notes[name], abs=1e-4)


def test_held_out_and_test_images_are_not_learnt_from(dataset, tmp_path, monkeypatch):
    class SeenError(Exception):
        pass

    def seen(images, labels, *, held_out, **settings):
        raise SeenError(images, held_out[0])

    monkeypatch.setattr(train_judge, "train_classifier", seen)
    with pytest.raises(SeenError) as stop:
        train_judge.train_judge(dataset, tmp_path / "judge", validation_images=40)
    learnt, held_out = stop.value.args
    train = data.load(dataset, "train").images
    np.testing.assert_array_equal(np.concatenate([learnt, held_out]), train)
    assert len(held_out) == 40
    assert list(tmp_path.iterdir()) == []  # nothing is left of a training that failed


@pytest.mark.slow
def test_a_judge_may_learn_from_the_beginning_of_the_training_split_alone(dataset, tmp_path):
    notes = train_judge.train_judge(dataset, tmp_path / "judge", train_images=150, epochs=1).notes
    assert (notes["images"], notes["held_out_images"]) == (150, 30) and notes["command"].endswith("--train-images 150")


def test_a_judge_of_resized_images_measures_by_real_images_of_its_size(dataset, tmp_path):
    notes = train_judge.train_judge(dataset, tmp_path / "judge", image_size=8, epochs=1).notes
    assert notes["image_shape"] == [8, 8, 3] and notes["command"].endswith("--image-size 8")
    real = data.load(dataset, "test", image_size=8)
    report = evaluate(tuple(real[:2]), judge=tmp_path / "judge", only=FIRST)
    for name, value in report.figures.items():
        assert value["model"] == value["real"], name
    watch = EvaluateDuringTraining(None, np.ones(4), str(dataset), every=1, n=100, judge=str(tmp_path / "judge"))
    watch.on_train_begin()
    images, labels = data.load(dataset, "train", image_size=8).first(100)[:2]
    assert dict(watch.metrics["distances"](images, labels))["frechet_distance"] == pytest.approx(0, abs=1e-3)


def test_a_judge_of_resized_digits_leaves_clip_out(mnist, tmp_path):
    few = {f"{what}_{split}": part[:400] for split in mnist for what, part in zip("xy", mnist[split])}
    np.savez(tmp_path / "few.npz", **few)
    train_judge.train_judge(tmp_path / "few.npz", tmp_path / "judge", image_size=16, epochs=1)
    change(tmp_path / "judge", dataset="mnist")
    real = data.load(tmp_path / "few.npz", "test", image_size=16)
    report = evaluate(tuple(real[:2]), dataset=str(tmp_path / "few.npz"), judge=tmp_path / "judge", n=100)
    assert "accuracy" in report.figures and not any(name.startswith("clip") for name in report.figures)


def test_a_small_data_set_gets_as_many_steps_as_a_large_one(dataset, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(train_judge, "train_classifier", lambda *_, **settings: asked.append(settings) or 1 / 0)
    for count in (None, 0):
        with pytest.raises(ZeroDivisionError):
            train_judge.train_judge(dataset, tmp_path / "judge", validation_images=count)
    assert [settings["epochs"] for settings in asked] == [1000, 1000]  # of two batches each
    assert asked[1]["held_out"] is None and asked[0]["batch_size"] == 128


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"arch": "vgg"}, r"`arch` must be one of \['conv3x3', 'wide5x5'\]. Received: 'vgg'"),
        ({"epochs": 0}, "`epochs` must be at least 1. Received: 0"),
        ({"train_images": -1}, "`train_images` must be at least 0. Received: -1"),
        ({"image_size": -1}, "`image_size` must be at least 0. Received: -1"),
        ({"validation_images": 300}, r"`validation_images` must be in 1\.\.299"),
        ({"validation_images": -1}, r"`validation_images` must be in 1\.\.299"),
        ({"dataset": "patchez.npz"}, "There is no file 'patchez.npz'"),
    ],
)
def test_a_judge_that_cannot_be_trained_is_named_before_any_work(dataset, tmp_path, monkeypatch, changed, message):
    monkeypatch.setattr(train_judge, "train_classifier", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_judge.train_judge(**{"dataset": dataset, "out": tmp_path / "judge", **changed})


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"side": (7, 12)}, r"must be 8 x 8 to 64 x 64, grey or in colour. Received from .*: \(7, 12, 3\)"),
        ({"side": (12, 65)}, r"must be 8 x 8 to 64 x 64"),
        ({"classes": 1}, "at least 2 classes apart"),
        ({"channels": 2}, r"grey or in colour"),
        (
            {"test_side": (12, 12)},
            r"Test images must be \(10, 12, 3\), as the training images. Received: \(12, 12, 3\)",
        ),
    ],
)
def test_images_that_no_judge_can_know_are_named(tmp_path, arrays, message):
    x, y = patches(40, seed=0, side=arrays.get("side", (10, 12)))
    x_test, y_test = patches(40, seed=1, side=arrays.get("test_side", x.shape[1:3]))
    y, y_test = (labels % arrays.get("classes", 4) for labels in (y, y_test))
    x, x_test = (images[..., : arrays.get("channels", 3)] for images in (x, x_test))
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    with pytest.raises(ValueError, match=message):
        train_judge.train_judge(tmp_path / "x.npz", tmp_path / "judge")


def test_a_judge_is_not_written_over_another(judged, dataset, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["judge", "--dataset", str(dataset), "--out", str(judged)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "`out` must be a new or empty folder" in error and error.count("\n") == 1


def test_an_empty_folder_is_filled(judged, tmp_path):
    folder.write(tmp_path, load_classifier(judged).network, folder.read_notes(judged))
    assert load_classifier(tmp_path).kind == KIND


def test_the_shipped_judge_lies_in_a_folder_like_any_other(mnist):
    notes = folder.read_notes(SHIPPED)
    assert folder.kind_of(notes) == Kind((28, 28, 1), 10)
    assert notes["data_sha256"] == data.Dataset(*mnist["train"], 10).fingerprint()


def test_real_images_measured_by_a_judge_have_the_real_figures(judged):
    images, labels = patches(120, seed=420)
    report = evaluate((images, labels), judge=judged, only=FIRST, n=120)
    assert set(report.figures) >= {"accuracy", "accuracy/3", "frechet_distance", "recall", "memorised", "pixel_mean"}
    assert report.figures["accuracy"]["model"] > 0.9 and np.shape(report.content["confusion"]) == (4, 4)
    test = evaluate(
        tuple(data.load(report.content["facts"]["rows"]["real images"].partition(":")[0], "test")[:2]),
        judge=judged,
        only=FIRST,
    )
    for name, value in test.figures.items():
        assert value["model"] == value["real"], name


@pytest.mark.parametrize("n, most, count", [(None, 10_000, 1_000), (None, 500, 500), (700, 500, 700)])
def test_as_many_images_are_drawn_as_there_are_real_ones_up_to_1000(n, most, count):
    assert Source(title="", python="", build=lambda: None).count(n, most=most) == count


def test_wrong_classes_are_seen(judged):
    images, labels = patches(120, seed=9)
    report = evaluate((images, (labels + 1) % 4), judge=judged, only="accuracy")
    assert report.figures["accuracy"]["model"] < 0.1 and not report.verdict.startswith("Like")


def test_a_page_of_other_data_speaks_of_classes(judged, tmp_path):
    images, labels = patches(120, seed=9)
    report = evaluate((images, labels), judge=judged, only="accuracy,diversity,fid")
    report.save(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    body = page.partition("</style>")[2].replace('class="digits"', "").replace('="digits"', "").replace("#digits", "")
    assert "Class by class" in body and "digit" not in body.lower() and "classs" not in body.lower()
    assert "Right class" in report.table() and "real images" in report.verdict
    facts = read_report(tmp_path / "report")["facts"]
    assert "wide5x5, trained on" in facts["judges"] and f"judge={str(judged)!r}" in facts["command"]
    both = comparison.render(*[read_report(tmp_path / "report")] * 2)
    assert "Right class, class by class" in both and "samples of the class 3" in both


def test_clip_is_for_mnist_alone(judged):
    images, labels = patches(120, seed=9)
    assert "clip" not in evaluate((images, labels), judge=judged, only=None, n=100).content
    with pytest.raises(ValueError, match="`only` must not contain clip, whose captions are of MNIST's digits"):
        evaluate((images, labels), judge=judged, only="clip,accuracy")


def test_totals_count_every_class_of_the_judge(judged):
    images, labels = patches(100, seed=9)
    judge = load_classifier(judged)
    found, kept, _ = totals.read(
        [(images[:60], labels[:60]), (images[60:], labels[60:])], 100, sample=50, seed=0, judge=judge
    )
    np.testing.assert_array_equal(found.confusion, confusion(images, labels, classifier=judge, kind=KIND))
    assert kept.shape == (50, 10, 12, 3)


def test_the_score_trains_on_other_data():
    found = dict(
        classification_accuracy_score(
            *patches(256, seed=0), test=patches(80, seed=1), steps=12, arch="wide5x5", kind=KIND
        )
    )
    assert found["classification_accuracy_score"] > 0.9 and "classification_accuracy_score/3" in found


@pytest.mark.parametrize(
    "harm, message",
    [
        ("none", r"`judge` must be a folder with classifier\.json and classifier\.weights\.h5.*Received: '.*copy'"),
        ("cut", r"classifier\.weights\.h5' is damaged, or not that of its classifier\.json: their SHA-256 differ"),
        ("no json", r"classifier\.json' is not of a judge"),
        ("lacking", r"classifier\.json' is not of a judge: KeyError\('num_classes'\)"),
        ("wrong", r"classifier\.json' is not of a judge: 'num_classes' is 'four'"),
        ("arch", r"`arch` must be one of"),
        ("other arch", "do not fit this network"),
    ],
)
def test_a_damaged_judge_is_one_clear_error(copy, harm, message):
    weights, notes = copy / folder.WEIGHTS, copy / folder.NOTES
    if harm == "none":
        weights.unlink()
    elif harm == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif harm == "no json":
        notes.write_text("{")
    elif harm == "lacking":
        notes.write_text(json.dumps({k: v for k, v in json.loads(notes.read_text()).items() if k != "num_classes"}))
    else:
        change(
            copy, **{"wrong": {"num_classes": "four"}, "arch": {"arch": "vgg"}, "other arch": {"arch": "conv3x3"}}[harm]
        )
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        evaluate(patches(120, seed=9), judge=copy, only="accuracy")


@pytest.mark.parametrize(
    "source, settings, message",
    [
        (
            "patches",
            {"judge": None},
            r"The judge knows 10 classes of 28 x 28 x 1\. Train one .* Received: images of 10 x 12 x 3",
        ),
        ("preset", {}, r"The judge knows 4 classes of 10 x 12 x 3\. Train one .* Received: 10 classes of 28 x 28 x 1"),
        (
            "patches",
            {"dataset": "others"},
            r"`judge` must know the data set\. It was trained on '.*patches\.npz'.*others",
        ),
        (
            "patches",
            {"dataset": "digits_8x8"},
            r"`dataset` must have shape \(N, 10, 12, 3\). Received: \(500, 8, 8, 1\)",
        ),
        ("classes", {}, r"`labels` must be in 0\.\.3"),
    ],
)
def test_a_judge_of_other_images_is_one_clear_error(
    judged, small_preset, tmp_path, monkeypatch, source, settings, message
):
    monkeypatch.setattr("keras_ddpm.evaluation.api.measure", lambda *_, **__: pytest.fail("work was done"))
    images, labels = patches(120, seed=9)
    given = {"patches": (images, labels), "preset": small_preset, "classes": (images, labels + 1)}[source]
    settings = {"judge": judged, "only": "accuracy", **settings}
    if settings.get("dataset") == "others":
        settings["dataset"] = write_patches(tmp_path / "others.npz", seed=7)
    with pytest.raises(ValueError, match=message):
        evaluate(given, **settings)


def test_a_copy_of_the_data_in_another_order_is_the_same_data(judged, dataset, tmp_path):
    with np.load(dataset) as arrays:
        order = np.random.default_rng(0).permutation(300)
        shuffled = {"x_train": arrays["x_train"][order], "y_train": arrays["y_train"][order]}
        np.savez(tmp_path / "shuffled.npz", **shuffled, x_test=arrays["x_test"], y_test=arrays["y_test"])
    report = evaluate(patches(120, seed=9), judge=judged, dataset=tmp_path / "shuffled.npz", only="pixels")
    assert report.content["facts"]["rows"]["real images"].startswith(str(tmp_path / "shuffled.npz"))


def test_the_shipped_judge_does_not_take_another_data_set_for_mnist(monkeypatch, mnist):
    monkeypatch.setattr(data, "load", lambda name, split, **rest: data.Dataset(*mnist[split], 10))
    images, labels = (array[:100] for array in mnist["test"])
    with pytest.raises(ValueError, match=r"`judge` must know the data set\. It was trained on 'mnist'.*fashion_mnist"):
        evaluate((images, labels), dataset="fashion_mnist", only="pixels")


def test_a_training_logs_the_figures_of_its_judge(judged, dataset, tmp_path):
    watch = EvaluateDuringTraining(None, np.ones(4), str(dataset), every=1, n=100, judge=str(judged))
    watch.on_train_begin()
    images, labels = patches(120, seed=9)
    assert dict(watch.metrics["accuracy"](images, labels))["accuracy"] > 0.9
    others = write_patches(tmp_path / "others.npz", seed=7)
    with pytest.raises(ValueError, match="`judge` must know the data set"):
        EvaluateDuringTraining(None, np.ones(4), str(others), every=1, n=100, judge=str(judged)).on_train_begin()


@pytest.mark.parametrize("named", [True, False])
def test_a_training_with_a_judge_of_other_images_is_an_error_before_it_begins(judged, tmp_path, named):
    kind = Kind((28, 28, 1), 10) if named else KIND
    network = SimpleNamespace(num_classes=kind.num_classes)
    generator = SimpleNamespace(network=network, image_shape=kind.image_shape)
    training = config.TrainingConfig(evaluate_every=1, judge=str(judged) if named else None)
    with pytest.raises(ValueError, match=rf"The judge knows .* Received: {kind}"):
        drawing(config.Config(training=training), tmp_path, generator)


def test_the_best_of_several_is_chosen_by_the_judge(judged):
    images, labels = patches(4, seed=9)
    rejection.check(4, judged, *KIND)
    rejection.check(4, str(judged), *KIND)
    for label in range(4):
        assert labels[rejection.best(images[None], np.array([label]), judged)[0]] == label
    with pytest.raises(ValueError, match="The judge knows 4 classes of 10 x 12 x 3"):
        rejection.check(4, judged, (28, 28, 1), 10)
    with pytest.raises(FileNotFoundError, match="`judge` must be a folder with"):
        rejection.check(4, judged.parent, *KIND)


def test_synthetic_images_are_kept_by_the_judge(judged):
    images, labels = patches(100, seed=9)
    keep = confidence(0.5, str(judged))
    assert keep(images, labels).mean() > 0.9 and keep(images, (labels + 1) % 4).mean() < 0.1
    assert weights_of(str(judged), KIND) == folder.read_notes(judged)["weights_sha256"]
    with pytest.raises(ValueError, match=r"It knows 4 classes of 10 x 12 x 3\. Received: 10 classes of 28 x 28 x 1"):
        weights_of(str(judged), Kind((28, 28, 1), 10))


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 14, 1), (10, 12, 3)])
def test_images_of_any_shape_are_distorted_about_their_centre(shape):
    images = np.full((200, *shape), 200, "uint8")
    out = distort(images, np.random.default_rng(0))
    assert out.shape == images.shape and out.dtype == np.float32
    if shape[-1] == 3:
        np.testing.assert_allclose(out, 200, atol=1e-3)  # a colour image goes on as its edge
    else:
        weight = out.mean(axis=(0, 3))
        rows, columns = np.indices(shape[:2])
        assert np.sum(weight * rows) / weight.sum() == pytest.approx((shape[0] - 1) / 2, abs=0.1)
        assert np.sum(weight * columns) / weight.sum() == pytest.approx((shape[1] - 1) / 2, abs=0.1)
