"""Loading OpenAI's weights, tested offline with a tiny model in a hub cache."""

import json
import logging
import socket

import keras
import keras_cv
import numpy as np
import pytest

from keras_ddpm.evaluation.judges import clip_towers as clip
from keras_ddpm.evaluation.judges import openai_clip
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores

HANDLE = "keras/clip/keras/clip-vit-base-patch32/6"


def _images(n):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, size=(n, 28, 28, 1), dtype="uint8"), np.arange(n) % 10


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def tiny_preset(tmp_path, monkeypatch, no_network):
    """A CLIP of the preset's shape but for its sizes, in a cache the hub's client takes for complete."""
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    keras.utils.set_random_seed(0)
    model = keras_cv.models.CLIP(
        embed_dim=8,
        image_resolution=64,
        vision_layers=1,
        vision_width=64,
        vision_patch_size=32,
        transformer_width=8,
        transformer_heads=2,
        transformer_layers=1,
    )
    folder = tmp_path / "models" / HANDLE
    folder.mkdir(parents=True)
    model.save_weights(folder / "model.weights.h5")
    config = {**keras.saving.serialize_keras_object(model), "weights": "model.weights.h5"}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("config.json", "model.weights.h5"):
        Cache().mark_as_complete(parse_model_handle(HANDLE), name)
    return model


def test_a_preset_loads_from_a_cache_without_network(tiny_preset, caplog):
    images, labels = _images(20)
    with caplog.at_level(logging.INFO):
        evaluator = openai_clip.load_evaluator("clip-vit-base-patch32", images=images, labels=labels)
    assert evaluator.name == "clip-vit-base-patch32"
    assert "patch kernel" in caplog.text and "of 20 real digits" in caplog.text
    for tower in ("image_encoder", "text_encoder"):
        ours, saved = getattr(evaluator, tower), getattr(tiny_preset, tower)
        for got, wanted in zip(ours.get_weights(), saved.get_weights(), strict=True):
            turned = got.transpose(1, 0, 2, 3) if got.ndim == 4 and not np.array_equal(got, wanted) else got
            np.testing.assert_array_equal(turned, wanted)
    assert evaluator.logit_scale == pytest.approx(np.log(1 / 0.07), abs=1e-5)
    scores = dict(clip_scores(images, labels, evaluator=evaluator))
    assert all(name.startswith("clip/clip-vit-base-patch32/") for name in scores)


def test_an_evaluator_is_float32_under_a_mixed_policy(tiny_preset):
    images, labels = _images(10)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        evaluator = openai_clip.load_clip_preset(images, labels)
        features = clip.text_features(evaluator, ["a photo of the digit 1"])
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert features.dtype == "float32"


def test_without_weights_the_error_says_what_to_do(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match="clip-vit-base-patch32") as raised:
        openai_clip.load_evaluator("clip-vit-base-patch32", images=_images(1)[0], labels=[0])
    assert "KAGGLEHUB_CACHE" in str(raised.value) and "digit_clip" in str(raised.value)


def test_unknown_evaluators_are_rejected_with_the_choices():
    with pytest.raises(ValueError, match=r"digit_clip.*clip-vit-base-patch32.*'clip'"):
        openai_clip.load_evaluator("clip")
    with pytest.raises(ValueError, match="500 real"):
        openai_clip.load_evaluator("clip-vit-base-patch32")


@pytest.mark.parametrize("stored", ["as stored", "transposed"])
def test_the_better_orientation_of_the_patch_kernel_is_kept(stored, mnist, caplog):
    from keras_ddpm.evaluation.judges import digit_clip

    images, labels = (array[:200] for array in mnist["test"])
    evaluator = digit_clip.load_digit_clip.__wrapped__()
    kernel = evaluator.image_encoder.embeddings.conv1.kernel
    right = keras.ops.convert_to_numpy(kernel)
    kernel.assign(right if stored == "as stored" else right.transpose(1, 0, 2, 3))
    with caplog.at_level(logging.INFO):
        accuracy = openai_clip.orient_patch_kernel(evaluator, images, labels)
    assert max(accuracy, key=accuracy.get) == stored
    assert f"patch kernel {stored}" in caplog.text
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kernel), right)
