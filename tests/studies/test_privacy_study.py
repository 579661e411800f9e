"""The study of privacy: what it calls nearer, what an attack tells, and verdicts that follow the figures."""

import numpy as np
import pytest

from keras_ddpm import data, presets
from studies import privacy
from studies.page import pages


def images_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28, 1), dtype="uint8")


def test_losses_of_one_kind_tell_nothing_and_separated_ones_everything():
    random = np.random.default_rng(0)
    same = privacy.told(random.normal(size=2000), random.normal(size=2000))
    assert same["auc"] == pytest.approx(0.5, abs=0.03) and same["low"] < 0.5 < same["high"]
    assert same["found"] == pytest.approx(0.01, abs=0.01)
    members, others = random.uniform(0, 1, 50), random.uniform(2, 3, 70)
    assert privacy.told(members, others) == pytest.approx({"auc": 1, "low": 1, "high": 1, "found": 1})
    assert privacy.auc(others, members) == 0


def test_the_auc_is_the_share_of_pairs_in_the_right_order():
    random = np.random.default_rng(1)
    members, others = random.integers(0, 5, 40), random.integers(1, 6, 30)
    pairs = members[:, None] - others[None]
    assert privacy.auc(members, others) == pytest.approx(np.mean((pairs < 0) + 0.5 * (pairs == 0)))


def test_the_interval_gets_narrower_with_more_images_and_holds_the_figure():
    widths = []
    for n in (100, 1600):
        random = np.random.default_rng(2)
        found = privacy.told(random.normal(-0.5, size=n), random.normal(size=n))
        assert found["low"] < found["auc"] < found["high"]
        widths.append(found["high"] - found["low"])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.35)


def test_copies_are_nearer_to_what_was_copied_and_new_images_as_near_to_either():
    members, others, new = images_of(300), images_of(300, seed=1), images_of(400, seed=2)
    copied = privacy.copies(members[:50], members, others)
    assert copied["nearer"] == 1 and copied["copies"] == 1 and copied["nearest_member"] < 1e-6
    fresh = privacy.copies(new, members, others)
    assert fresh["nearer_low"] < 0.5 < fresh["nearer_high"] and fresh["copies"] == 0


def test_more_training_images_than_others_do_not_look_nearer_because_they_are_more():
    new, members, others = images_of(300, seed=3), images_of(2000), images_of(200, seed=1)
    found = privacy.copies(new, members, others)
    assert found["among"] == 200 and found["nearer"] == pytest.approx(0.5, abs=0.06)
    turned = privacy.copies(new, others, members)
    assert turned["nearer"] == pytest.approx(1 - found["nearer"])


def test_a_loss_is_that_of_the_image_whatever_its_batch_and_differs_between_levels(small_preset):
    generator, labels = presets.load_preset(small_preset), np.arange(7, dtype="int32")
    images = data.Dataset(images_of(7), labels, 10)
    found = privacy.losses(generator, images, (0.1, 2.0))
    assert found.shape == (7, 2) and np.all(found > 0) and len(np.unique(found.round(5))) == 14
    first = data.Dataset(images.images[:3], labels[:3], 10)
    np.testing.assert_allclose(privacy.losses(generator, first, (0.1, 2.0)), found[:3], rtol=1e-4)


def test_a_loss_is_the_error_of_the_prediction_of_v(small_preset):
    """The mean over the draws of |v - network|^2, computed here from the equations."""
    from keras_ddpm import noise, samplers
    from keras_ddpm.networks.call import predict

    generator, labels = presets.load_preset(small_preset), np.array([4, 9], "int32")
    images = images_of(2)
    t = samplers.time_of_level(0.9, generator.diffusion.schedule)
    alpha, sigma = (float(a) for a in generator.diffusion.schedule(np.float64(t)))
    x_0, expected = data.to_float(images), []
    for draw in range(privacy.DRAWS):
        eps = np.asarray(noise.normal(noise.split_seed(np.arange(2)), draw, (28, 28, 1)))
        x_t = (alpha * x_0 + sigma * eps).astype("float32")
        y = predict(generator.network, x_t, np.full(2, t, "float32"), {"label": labels}, training=False)
        expected.append(((np.asarray(y) - (alpha * eps - sigma * x_0)) ** 2).mean(axis=(1, 2, 3)))
    found = privacy.losses(generator, data.Dataset(images, labels, 10), (0.9,))
    np.testing.assert_allclose(found[:, 0], np.mean(expected, axis=0), rtol=1e-3)


@pytest.fixture
def splits():
    """A training split whose image i is all i % 256, with that in its label's place, and a test split."""
    labels = np.arange(8_000, dtype="int32") % 10
    return data.Dataset(images_of(8_000), labels, 10), data.Dataset(images_of(50, seed=1), labels[:50], 10)


def test_members_are_what_a_model_was_trained_on_and_the_others_are_not(splits, tmp_path, monkeypatch):
    train, test = splits
    seen = {}
    monkeypatch.setattr(
        privacy.few_images, "train", lambda name, images, labels, *_, **__: seen.update(images=images) or tmp_path
    )
    keys = {split: {image.tobytes() for image in part.images} for split, part in (("train", train), ("test", test))}
    held_out = {image.tobytes() for image in train.images[-5_000:]}
    for name in privacy.TITLES:
        target = privacy.target_of(name, train, test, privacy.study.Options())
        members, others = ({image.tobytes() for image in part.images} for part in (target.members, target.others))
        assert not members & others
        assert (members, others) == (keys["train"], keys["test"]) if name == "mnist" else others == held_out
    assert members == {image.tobytes() for image in seen["images"]} and len(members) == privacy.FEW
    neither = privacy.control(train, test, privacy.study.Options())
    assert not {image.tobytes() for image in neither.members.images} & members and neither.others is test


def test_a_one_call_model_is_attacked_where_it_was_trained(splits):
    levels = privacy.target_of("mnist_fast", *splits, privacy.study.Options()).levels
    assert levels == presets.read_config("mnist_fast")[0].few_step.levels and set(levels) < set(privacy.LEVELS)


def test_a_model_that_may_not_be_trained_is_left_out():
    assert privacy.attack(lambda: None, 10) is None


def test_verdict_and_answer_follow_the_interval():
    rows = {f"copies {name}": {"copies": 0.0} for name in privacy.TITLES}
    intervals = {"mnist": (0.49, 0.51), "mnist_fast": (0.51, 0.53), "thousand": (0.4, 0.45)}
    for name, (low, high) in intervals.items():
        rows[f"attack {name}"] = {"auc": [0.7, (low + high) / 2], "low": [0.6, low], "high": [0.8, high]}
    verdicts = [privacy.verdict(rows[f"attack {name}"]) for name in intervals]
    assert verdicts == ["no better than chance", "above chance", "below chance"]
    answer = privacy.answer(rows)
    assert "`mnist`: no copies; the attack is no better than chance, AUC 0.500 (0.490 to 0.510)." in answer
    rows["copies thousand"] = {"copies": 0.125}
    assert "The model of 1,000 images: 12.5 % copies; the attack is below chance" in privacy.answer(rows)
    del rows["attack mnist"]
    assert "`mnist`: not measured yet." in privacy.answer(rows)


def test_what_is_missing_is_said_to_be_missing():
    assert "not measured yet" in pages.render_alone("privacy", {"command": "", "settings": {}, "rows": {}})
