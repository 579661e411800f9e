"""Generators of a few images: which images those are, and that nothing else is seen."""

import numpy as np
import pytest

from keras_ddpm import data
from studies import few_images, study, trainings

LABELS = np.random.default_rng(0).integers(0, 10, 3000).astype("int32")


def test_as_many_of_each_digit_are_chosen_as_asked_for_and_none_twice():
    counts = np.array([10, 0, 3, 50, 1, 7, 7, 20, 5, 9])
    rows = few_images.choose(LABELS, counts, 1)
    assert np.bincount(LABELS[rows], minlength=10).tolist() == counts.tolist()
    assert len(set(rows.tolist())) == counts.sum()


def test_a_seed_chooses_the_same_images_again_and_another_seed_others():
    chosen = [set(few_images.choose(LABELS, np.full(10, 20), seed).tolist()) for seed in (3, 3, 4)]
    assert chosen[0] == chosen[1] and len(chosen[0] & chosen[2]) < 100


def test_a_small_set_is_part_of_a_large_one():
    small, large = (set(few_images.choose(LABELS, np.full(10, n), 2).tolist()) for n in (5, 50))
    assert small < large


def test_more_images_of_a_digit_than_there_are_are_refused():
    with pytest.raises(ValueError, match=r"`counts` must be at most \[.*\]. Received: \[400"):
        few_images.choose(LABELS, np.full(10, 400), 0)


def test_a_generator_sees_its_few_images_and_no_other(tmp_path, monkeypatch):
    """Training and validation images are those given, each about as often, with their labels."""
    seen = {}
    monkeypatch.setattr(trainings.keras_ddpm, "train", lambda config, out, **given: seen.update(given, config=config))
    monkeypatch.setattr(data, "load", lambda *args: pytest.fail("it must load no data set"))
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), dtype="uint8")
    labels = np.arange(30, dtype="int32") % 10
    few_images.train("some", images, labels, study.Options(runs=tmp_path), epochs=2)
    assert set(seen) == {"config", "data", "validation", "num_classes", "resume"}
    given = {(image.tobytes(), label) for image, label in zip(images, labels.tolist())}
    counts = {}
    for image, label in zip(seen["data"][0], seen["data"][1].tolist()):
        counts[image.tobytes(), label] = counts.get((image.tobytes(), label), 0) + 1
    assert set(counts) == given and max(counts.values()) - min(counts.values()) <= 1
    assert {(image.tobytes(), label) for image, label in zip(seen["validation"][0], labels.tolist())} == given
    assert seen["config"].data.augmentation == "none" and seen["config"].training.init is None


def test_the_images_that_are_chosen_from_lack_the_held_out_ones(monkeypatch):
    images = np.zeros((6_000, 1, 1, 1), "uint8")
    asked = []
    monkeypatch.setattr(
        data, "load", lambda name, split: asked.append(split) or data.Dataset(images, np.arange(6_000), 10)
    )
    rest, held_out = few_images.split(study.Options())
    assert asked == ["train"] and rest.labels.tolist() == list(range(1_000))
    assert held_out.labels.tolist() == list(range(1_000, 6_000))


def test_a_generator_that_may_not_be_trained_is_left_out(tmp_path):
    images, labels = np.zeros((10, 28, 28, 1), "uint8"), np.arange(10)
    assert few_images.train("some", images, labels, study.Options(runs=tmp_path, train=False), epochs=2) is None
    assert not list(tmp_path.iterdir())
