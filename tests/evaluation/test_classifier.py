"""The digit classifier, its training, and the score that trains it on generated images."""

import json

import keras
import numpy as np
import pytest

from keras_ddpm.data.augmentation import distort, draw_affine
from keras_ddpm.evaluation.judges import folder
from keras_ddpm.evaluation.judges.classifier import (
    ARCHITECTURES,
    SHIPPED,
    Judge,
    build_network,
    load_classifier,
)
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.judges.train_classifier import ShuffledBatches, train_classifier
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score


def random_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1), dtype="uint8")


def test_the_shipped_classifier_is_right_on_995_of_1000_real_digits(mnist):
    images, labels = mnist["test"]
    probabilities, features = load_classifier()(images)
    assert np.mean(probabilities.argmax(axis=1) == labels) >= 0.995
    assert features.shape == (10_000, 96)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_shipped_weights_are_under_2_mb_and_say_where_they_come_from():
    assert (SHIPPED / folder.WEIGHTS).stat().st_size < 2e6
    facts = json.loads((SHIPPED / folder.NOTES).read_text())
    assert facts["test_accuracy"] >= 0.995
    assert "train_classifier" in facts["command"]


def test_what_an_image_is_does_not_depend_on_its_batch():
    classifier = Judge(build_network())
    images = random_images(7)
    whole, parts = classifier(images, batch_size=7), classifier(images, batch_size=3)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_an_architecture_ends_in_features_and_ten_probabilities(arch):
    probabilities, features = Judge(build_network(arch))(random_images(3), batch_size=3)
    assert probabilities.shape == (3, 10)
    assert features.ndim == 2 and features.shape[1] <= 128


def test_an_unknown_architecture_is_rejected_with_the_choices():
    with pytest.raises(ValueError, match=r"one of \['conv3x3', 'wide5x5'\]. Received: 'vgg'"):
        build_network("vgg")


def test_missing_weights_say_how_to_train_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Train one with: python -m keras_ddpm judge.*none"):
        load_classifier(tmp_path / "none")


def test_memoizing_computes_the_same_content_once():
    asked = []

    def classifier(images):
        asked.append(len(images))
        return images, images

    look = memoize(classifier)
    first = look(random_images(4))
    assert look(random_images(4)) is first
    look(random_images(4, seed=1))
    assert asked == [4, 4]


@pytest.mark.slow
def test_training_twice_with_one_seed_gives_the_same_weights_and_saves_them(tmp_path):
    images, labels = random_images(256), np.arange(256, dtype="int32") % 10
    first, second = (train_classifier(images, labels, arch="wide5x5", epochs=1, seed=3) for _ in range(2))
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    notes = {"arch": "wide5x5", "dataset": "x", "data_sha256": "", "test_accuracy": 0.5, "seed": 3}
    notes |= {"image_shape": [28, 28, 1], "num_classes": 10}
    folder.write(tmp_path / "x", first.network, notes)
    loaded = load_classifier(tmp_path / "x")
    assert loaded.notes == notes | {"weights_sha256": loaded.notes["weights_sha256"]}
    np.testing.assert_allclose(loaded(images)[0], first(images)[0], atol=1e-6)


def test_a_classifier_sees_distorted_images_or_the_images_themselves():
    images, labels = random_images(8), np.arange(8)
    plain, distorted = (
        ShuffledBatches(images, labels, batch_size=4, seed=1, augment=augment) for augment in (None, distort)
    )
    for batches, same in ((plain, True), (distorted, False)):
        seen, which = (np.concatenate(parts) for parts in zip(*(batches[i] for i in range(len(batches)))))
        assert sorted(which.tolist()) == labels.tolist()
        assert np.array_equal(seen, images[which]) is same


def test_fewer_images_than_a_batch_are_rejected():
    with pytest.raises(ValueError, match="at least 128 images"):
        train_classifier(random_images(100), np.zeros(100, int))


def test_no_distortion_changes_nothing():
    images = random_images(2)
    still = draw_affine(np.random.default_rng(0), 2, degrees=0, zoom=0, shift=0)
    out = keras.ops.image.affine_transform(images.astype("float32"), still, data_format="channels_last")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(out), images, atol=1e-3)


def test_rotation_turns_about_the_centre():
    spot = np.zeros((1, 28, 28, 1), "float32")
    spot[0, 13:15, 13:15] = 1
    turn = draw_affine(np.random.default_rng(5), 1, degrees=90, zoom=0, shift=0)
    out = keras.ops.convert_to_numpy(keras.ops.image.affine_transform(spot, turn, data_format="channels_last"))
    rows, columns = np.meshgrid(np.arange(28), np.arange(28), indexing="ij")
    assert np.sum(out[0, ..., 0] * rows) / out.sum() == pytest.approx(13.5, abs=1e-3)
    assert np.sum(out[0, ..., 0] * columns) / out.sum() == pytest.approx(13.5, abs=1e-3)


def test_distortion_depends_on_its_generator_only():
    images = random_images(5)
    first, second, other = (distort(images, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1


@pytest.mark.slow
def test_the_score_is_high_for_digits_learnt_right_and_low_for_swapped_ones(mnist):
    x, y = (array[:1280] for array in mnist["train"])
    swapped = np.where(y == 4, 9, np.where(y == 9, 4, y))
    test = [array[:1000] for array in mnist["test"]]
    values = dict(classification_accuracy_score(x, swapped, test=test, steps=60, arch="wide5x5"))
    score = {digit: values[f"classification_accuracy_score/{digit}"] for digit in range(10)}
    assert min(score[digit] for digit in (0, 1, 2, 3, 5, 6, 7, 8)) > 0.7
    assert max(score[4], score[9]) < 0.2
    assert 0.6 < values["classification_accuracy_score"] < 0.85
