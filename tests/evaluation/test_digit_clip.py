"""Laws of the shipped digit CLIP and of its training."""

import keras
import numpy as np
import pytest

from keras_ddpm.evaluation.judges import clip_towers as clip
from keras_ddpm.evaluation.judges import digit_clip, train_digit_clip
from keras_ddpm.evaluation.metrics import clip_reference
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores

SMALL = {"width": 16, "layers": 1, "heads": 2, "text_width": 8, "text_layers": 1, "text_heads": 1, "embed_dim": 8}


@pytest.fixture(scope="module")
def rows(mnist):
    images, labels = (array[:1000] for array in mnist["test"])
    names = ["real", "wrong labels", "blobs", "cross-fades", "noise", "grey ground", "motion blur"]
    return dict(clip_reference.reference_scores(images, labels, names=names))


def _figure(scores, name):
    return scores[f"clip/digit_clip/{name}"]


def test_real_digits_are_recognised(rows):
    assert _figure(rows["real"], "zero_shot/all") > 96.0


def test_real_digits_are_sharp(rows):
    assert _figure(rows["real"], "sharp/all") > 60.0
    assert min(_figure(rows["real"], f"sharp/{digit}") for digit in range(10)) > 45.0


@pytest.mark.parametrize("name", ["blobs", "cross-fades", "noise", "grey ground", "motion blur"])
def test_bad_images_are_blurry(rows, name):
    assert _figure(rows[name], "blurry/all") > 85.0


def test_perfect_images_of_the_wrong_digit_do_not_pass(rows):
    assert _figure(rows["wrong labels"], "sharp/all") < 10.0
    assert _figure(rows["wrong labels"], "zero_shot/all") < 5.0


def test_photo_blurry_and_clear_sum_to_a_hundred(rows):
    for scores in rows.values():
        assert sum(_figure(scores, f"{name}/all") for name in ("photo", "blurry", "clear")) == pytest.approx(100.0)


def test_scores_do_not_depend_on_the_batch(mnist):
    images, labels = (array[:60] for array in mnist["test"])
    at_once = dict(clip_scores(images, labels, batch_size=60))
    in_batches = dict(clip_scores(images, labels, batch_size=7))
    assert at_once == pytest.approx(in_batches, abs=1e-3)


def test_scores_do_not_depend_on_the_global_precision(mnist):
    images, labels = (array[:60] for array in mnist["test"])
    expected = dict(clip_scores(images, labels))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        actual = dict(clip_scores(images, labels, evaluator=digit_clip.load_digit_clip.__wrapped__()))
    finally:
        keras.config.set_dtype_policy("float32")
    assert actual == pytest.approx(expected, abs=1e-3)


def test_shipped_files_are_small():
    assert sum(path.stat().st_size for path in digit_clip.SHIPPED.glob("digit_clip*")) < 5e6


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="train_digit_clip"):
        digit_clip.load_digit_clip(tmp_path)


def test_a_saved_model_scores_as_before(tmp_path, mnist):
    images = mnist["test"][0][:4]
    model = digit_clip.DigitClip(**SMALL)
    digit_clip.save(model, tmp_path, notes={})
    evaluator = digit_clip.load_digit_clip(tmp_path)
    ids = ["a clear handwritten 4", "random noise"]
    expected = clip.image_logits(
        digit_clip.as_evaluator(model), images, captions=clip.text_features(digit_clip.as_evaluator(model), ids)
    )
    actual = clip.image_logits(evaluator, images, captions=clip.text_features(evaluator, ids))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_config_round_trips():
    model = digit_clip.DigitClip(**SMALL)
    assert digit_clip.DigitClip.from_config(model.get_config()).get_config() == model.get_config()


def test_loss_is_two_cross_entropies():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((6, 5)).astype("float32")
    targets = rng.random((6, 5)).astype("float32") * (np.arange(5) != 3)  # no image fits caption 3
    targets /= targets.sum(1, keepdims=True)
    by_image = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    by_caption = logits - np.log(np.exp(logits).sum(0, keepdims=True))
    rows = -(targets * by_image).sum() / 6
    columns = -np.mean([(targets[:, c] / targets[:, c].sum() * by_caption[:, c]).sum() for c in (0, 1, 2, 4)])
    actual = keras.ops.convert_to_numpy(digit_clip.contrastive_loss(targets, logits))
    np.testing.assert_allclose(actual, (rows + columns) / 2, rtol=1e-5)


def test_targets_are_shares():
    labels = np.arange(10)
    clear = train_digit_clip.clear_targets(labels)
    kinds = [*train_digit_clip.DEGRADATIONS, "blur", "noise"]
    for q in (clear, train_digit_clip.degraded_targets(labels, kinds)):
        np.testing.assert_allclose(q.sum(axis=1), 1.0, rtol=1e-5)
    # A clear digit is no blurry image of itself, but is a blurry image of every other.
    blurry = clear[:, 10:20]
    assert np.all(np.diag(blurry) == 0) and np.all(blurry[~np.eye(10, dtype=bool)] > 0)


@pytest.mark.slow
def test_training_lowers_the_loss_and_repeats(mnist):
    images, labels = (array[:256] for array in mnist["train"])
    models = [
        train_digit_clip.train_digit_clip(images, labels, epochs=3, batch_size=32, lr=3e-3, seed=7, sizes=SMALL)
        for _ in range(2)
    ]
    losses = models[0].history.history["loss"]
    assert losses[-1] < losses[0]
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
