"""Every broken generator is detected by the metrics meant for it, and the sensitivity table says so."""

import numpy as np
import pytest

from keras_ddpm.evaluation.corruptions import broken_generators
from keras_ddpm.evaluation.metrics import bind, sensitivity
from keras_ddpm.evaluation.metrics.sensitivity import detects, markdown, measure

N = 400
DETECTED = {
    "blobs": ["accuracy", "frechet_distance", "precision", "grey"],
    "blurred": ["frechet_distance", "grey"],
    "noise": ["accuracy", "frechet_distance", "precision", "coverage", "grey"],
    "grey ground": ["frechet_distance", "black"],
    "cross-fades": ["accuracy", "frechet_distance", "confidence"],
    "one image": ["accuracy", "frechet_distance", "recall", "diversity", "nearest_sibling"],
    "one image a digit": ["frechet_distance", "coverage", "recall", "diversity", "nearest_sibling"],
    "ten images a digit": ["coverage", "nearest_sibling", "nearest_sibling_in_pixels"],
    "wrong labels": ["accuracy", "kernel_distance_within_digit"],
    "4 and 9 swapped": ["accuracy", "kernel_distance_within_digit"],
    "5 missing": ["accuracy", "kernel_distance_within_digit"],
    "copies": ["memorised", "memorised_in_pixels", "nearest_training"],
    "shifted copies": ["nearest_training"],
}
MISSED = {
    "one image a digit": ["accuracy"],
    "wrong labels": ["frechet_distance", "kernel_distance", "precision", "recall", "coverage"],
    "4 and 9 swapped": ["frechet_distance", "precision", "recall"],
    "copies": ["accuracy", "frechet_distance", "precision", "recall", "diversity"],
}


@pytest.fixture(scope="module")
def measured(mnist):
    test = [array[:2000] for array in mnist["test"]]
    training = [array[:3000] for array in mnist["train"]]
    metrics = bind(reference=(training[0][:N], training[1][:N]), training=training[0])
    return measure(test, training, metrics=metrics, n=N)


@pytest.mark.parametrize(("generator", "metric"), [(g, m) for g, names in DETECTED.items() for m in names])
def test_a_fault_is_detected(measured, generator, metric):
    real, values = measured
    assert detects(values[generator][metric], real[metric]), (values[generator][metric], real[metric])


@pytest.mark.parametrize(("generator", "metric"), [(g, m) for g, names in MISSED.items() for m in names])
def test_a_fault_is_missed_and_the_docs_say_so(measured, generator, metric):
    real, values = measured
    assert not detects(values[generator][metric], real[metric]), (values[generator][metric], real[metric])


@pytest.mark.parametrize("generator", ["blobs", "noise", "one image a digit"])
def test_the_classifier_is_no_less_sure_of_bad_images_than_of_real_ones(measured, generator):
    real, values = measured
    assert values[generator]["confidence"] >= real["confidence"].mean()


def test_density_does_not_fall_under_collapse(measured):
    real, values = measured
    assert values["one image a digit"]["density"] >= real["density"].mean()


def test_every_broken_generator_has_a_metric_that_detects_it():
    assert set(DETECTED) == set(broken_generators.FROM_ANY) | set(broken_generators.FROM_TRAINING)


def test_the_table_names_every_metric_on_every_row(measured):
    real, values = measured
    rows = markdown(real, values).splitlines()[2 : 2 + len(values)]
    assert all(name in row for name in real for row in rows)


@pytest.mark.parametrize("name", sorted(broken_generators.FROM_ANY | broken_generators.FROM_TRAINING))
def test_a_broken_generator_keeps_shape_and_dtype_and_leaves_its_arguments_alone(name):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 28, 28, 1), dtype="uint8"), np.arange(40, dtype="int32") % 10
    before = images.copy(), labels.copy()
    x, y = (broken_generators.FROM_ANY | broken_generators.FROM_TRAINING)[name](images, labels, rng=rng)
    assert (x.shape, x.dtype, y.shape, y.dtype) == (images.shape, images.dtype, labels.shape, labels.dtype)
    assert y.min() >= 0 and y.max() <= 9
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_a_page_without_marks_is_rejected_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("no marks")
    monkeypatch.setattr(sensitivity, "load", lambda *args: pytest.fail("work was done"))
    with pytest.raises(SystemExit, match="must contain both marks"):
        sensitivity.main(["--into", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text() == "no marks"


def test_wrong_labels_are_all_wrong():
    labels = np.arange(1000, dtype="int32") % 10
    _, y = broken_generators.wrong_labels(np.zeros((1000, 1)), labels, rng=np.random.default_rng(0))
    assert not np.any(y == labels)
