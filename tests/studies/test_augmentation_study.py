"""The study of augmentation: its sets, what a classifier sees of them, and verdicts that follow the figures."""

import numpy as np
import pytest

from keras_ddpm.data.augmentation import distort
from studies import augmentation, study
from studies.page import pages

COUNTS = augmentation.SETS["rare"]


def a_set(counts, *, base=0):
    """Images that all differ, with their labels."""
    labels = np.repeat(np.arange(10, dtype="int32"), counts)
    return base + np.arange(len(labels)).reshape(-1, 1, 1, 1), labels


def rows_of(**accuracies):
    """Rows of every set: for each arm the accuracies of the seeds."""
    return {
        f"{name} {arm.replace('_', ' ')} seed={seed}": {"accuracy": value, "recall_of_rare": value}
        for name in augmentation.SETS
        for arm, values in accuracies.items()
        for seed, value in enumerate(values)
    }


def test_two_digits_are_rare_and_synthetic_images_make_up_for_what_they_lack():
    assert np.flatnonzero(COUNTS.max() != COUNTS).tolist() == sorted(augmentation.RARE)
    lacking = augmentation.wanted("rare")
    assert set((COUNTS + lacking).tolist()) == {augmentation.COMMON}
    assert np.bincount(augmentation.mixed(a_set(COUNTS), a_set(lacking))[1]).tolist() == [augmentation.COMMON] * 10


@pytest.mark.parametrize("name", ["10", "50", "200"])
def test_half_of_what_a_classifier_sees_of_a_set_without_rare_digits_is_real(name):
    real = a_set(augmentation.SETS[name])
    drawn = a_set(augmentation.wanted(name), base=100_000)
    images, labels = augmentation.mixed(real, drawn)
    found, times = np.unique(images[images < 100_000], return_counts=True)
    assert times.sum() == len(drawn[1]) == len(images) - times.sum()
    assert len(found) == len(real[1]) and len(set(times.tolist())) == 1
    own = dict(zip(np.concatenate([real[0], drawn[0]]).ravel().tolist(), [*real[1].tolist(), *drawn[1].tolist()]))
    assert [own[image] for image in images.ravel().tolist()] == labels.tolist()


def test_without_synthetic_images_rare_digits_are_repeated_until_they_are_not_rare():
    images, labels = augmentation.balanced(a_set(COUNTS))
    assert np.bincount(labels).tolist() == [augmentation.COMMON] * 10
    assert len(np.unique(images)) == COUNTS.sum()


@pytest.mark.parametrize("title, wanted", [("plain", None), ("distorted", distort)])
def test_only_where_it_says_so_images_are_distorted(title, wanted, monkeypatch):
    asked = {}

    def train_classifier(images, labels, **settings):
        asked.update(settings, n=len(images))
        return lambda images: (np.eye(10)[np.zeros(len(images), int)], None)

    monkeypatch.setattr(augmentation, "train_classifier", train_classifier)
    real, test = a_set(COUNTS), a_set(np.arange(1, 11))
    found = augmentation.classify(real, augmentation.ARMS[title], test, 1, study.Options())
    assert asked["augment"] is wanted and asked["seed"] == 1 and asked["n"] == len(real[1])
    assert (
        found["accuracy"] == 1 / 55 and found["recall_of_digit"] == [1.0] + [0.0] * 9 and found["recall_of_rare"] == 0
    )


def test_every_classifier_takes_about_as_many_steps(monkeypatch):
    steps = []

    def train_classifier(images, labels, *, epochs, batch_size, **settings):
        steps.append(epochs * (len(images) // batch_size))
        return lambda images: (np.eye(10)[np.zeros(len(images), int)], None)

    monkeypatch.setattr(augmentation, "train_classifier", train_classifier)
    for name, counts in augmentation.SETS.items():
        for training in (a_set(counts), augmentation.mixed(a_set(counts), a_set(augmentation.wanted(name)))):
            augmentation.classify(training, augmentation.Arm(), a_set(np.full(10, 2)), 0, study.Options())
    assert len(steps) == 8 and max(abs(np.array(steps) - augmentation.STEPS)) <= 0.1 * augmentation.STEPS


def test_gains_are_paired_by_seed_and_beyond_their_interval_before_they_count():
    gain = augmentation.difference(
        rows_of(both=(0.93, 0.84, 0.76), distorted=(0.92, 0.83, 0.74)), "10", "both", "distorted", "accuracy"
    )
    assert gain.mean == pytest.approx(4 / 3) and gain.std == pytest.approx(3**-0.5)
    for values, verdict in [
        ((0.92, 0.93, 0.94), "better"),
        ((0.88, 0.87, 0.86), "worse"),
        ((0.95, 0.85, 0.92), "undecided"),
    ]:
        rows = rows_of(synthetic=values, plain=(0.9, 0.9, 0.9))
        assert augmentation.difference(rows, "50", "synthetic", "plain", "accuracy").verdict == verdict


def test_the_answer_and_its_sentences_follow_the_figures():
    low, high = (0.90, 0.91, 0.92), (0.93, 0.94, 0.96)
    rows = rows_of(both=high, distorted=low, repeated_and_distorted=low)
    assert augmentation.answer(rows).startswith("Yes")
    assert augmentation.answer(rows_of(both=low, distorted=high, repeated_and_distorted=high)).startswith("No")
    some = {name: row for name, row in rows.items() if not name.startswith("10 ")} | {
        name: row for name, row in rows_of(both=low, distorted=high).items() if name.startswith("10 ")
    }
    answer = augmentation.answer(some)
    assert answer.startswith("In part") and "with 10 images a digit they harm" in answer
    sentence = next(text for text in augmentation.verdicts(some) if text.startswith("“both” beside “distorted”"))
    assert "worse with 10 images a digit (-3.3" in sentence and "better with 50 images a digit" in sentence


def test_what_is_missing_is_said_to_be_missing():
    assert augmentation.answer({}) == "Not all of it is measured yet."
    assert all("not measured yet" in sentence for sentence in augmentation.verdicts({}))
    assert "not measured yet" in pages.render_alone("augmentation", {"command": "", "settings": {}, "rows": {}})


def test_a_stopped_study_does_what_is_left_and_trains_no_generator_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation.few_images, "train", lambda *args, **settings: pytest.fail("it must not train"))
    done = []
    monkeypatch.setattr(augmentation, "classify", lambda training, arm, *rest: done.append(arm) or {"accuracy": 1})
    options = study.Options(out=tmp_path)
    results = study.Results("augmentation", options)
    results.content["rows"] = {f"10 {title} seed=0": {} for title in ("generator", "plain", "synthetic", "both")}
    augmentation.measure_set(results, "10", a_set(augmentation.SETS["10"]), a_set(np.full(10, 2)), 0, options)
    assert done == [augmentation.ARMS["distorted"]]


def test_a_generator_is_drawn_from_once_for_all_classifiers_and_none_without_it(tmp_path, monkeypatch):
    done, drawn, options = [], [], study.Options(out=tmp_path)
    monkeypatch.setattr(
        augmentation, "classify", lambda training, arm, *rest: done.append((arm, len(training[1]))) or {}
    )
    monkeypatch.setattr(augmentation, "describe", lambda *args: {})
    monkeypatch.setattr(augmentation, "draw", lambda folder, counts, seed: drawn.append(seed) or a_set(counts))
    real, test = a_set(augmentation.SETS["50"]), a_set(np.full(10, 2))
    for folder, seed in ((None, 0), (tmp_path, 1)):
        monkeypatch.setattr(augmentation.few_images, "train", lambda *args, folder=folder, **settings: folder)
        augmentation.measure_set(study.Results("augmentation", options), "50", real, test, seed, options)
    assert drawn == [1]
    plain, distorted, synthetic, both = augmentation.ARMS.values()
    assert done == [(plain, 500), (distorted, 500), (plain, 500), (distorted, 500), (synthetic, 4000), (both, 4000)]
