"""Laws of the CLIP glue, held against the paper's formulas written out in NumPy."""

import keras
import numpy as np
import pytest
from keras_cv.models import feature_extractor

from keras_ddpm.evaluation.judges import clip_towers as clip
from keras_ddpm.evaluation.judges.caption_scores import caption_shares, score_logits, zero_shot_hits
from keras_ddpm.evaluation.judges.clip_captions import (
    END,
    OPENAI_VOCABULARY,
    PAD,
    SMALL_VOCABULARY,
    START,
    captions,
    token_ids,
)
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores

VOCABULARY_SIZE, CONTEXT = 49408, 11


def _randomise(model, seed):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        offset = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(offset + 0.2 * rng.standard_normal(weight.shape))
    return model


def _text_encoder(seed=0):
    encoder = feature_extractor.CLIPTextEncoder(
        transformer_width=16,
        transformer_layers=2,
        transformer_heads=4,
        vocab_size=VOCABULARY_SIZE,
        embed_dim=6,
        context_length=CONTEXT,
    )
    encoder.build((None, CONTEXT))
    return _randomise(encoder, seed)


@pytest.fixture(scope="module")
def text_encoder():
    return _text_encoder()


@pytest.fixture(scope="module")
def image_encoder():
    encoder = feature_extractor.CLIPImageEncoder(
        input_resolution=12, patch_size=4, width=16, num_layers=2, heads=2, output_dim=6
    )
    encoder.build((None, 12, 12, 3))
    return _randomise(encoder, 1)


def _array(weight):
    return keras.ops.convert_to_numpy(weight).astype("float64")


def _affine(x, layer):
    y = x @ _array(layer.kernel)
    return y if layer.bias is None else y + _array(layer.bias)


def _layer_norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * _array(layer.gamma) + _array(layer.beta)


def _attention(x, layer, *, heads, causal):
    batch, length, width = x.shape
    q, k, v = (
        _affine(x, projection).reshape(batch, length, heads, width // heads)
        for projection in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(width / heads)
    if causal:
        scores[..., np.arange(length)[:, None] < np.arange(length)[None, :]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return _affine(np.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape), layer.out_proj)


def _transformer(x, encoder, *, causal):
    for block in encoder.resblocks:
        x = x + _attention(_layer_norm(x, block.ln_1), block.attn, heads=encoder.heads, causal=causal)
        hidden = _affine(_layer_norm(x, block.ln_2), block.mlp_dense_1)
        x = x + _affine(hidden / (1 + np.exp(-1.702 * hidden)), block.mlp_dense_2)
    return x


def reference_text(encoder, ids):
    x = _array(encoder.token_embedding.embeddings)[ids]
    x = x + _array(encoder.positional_embedding.embeddings)[: ids.shape[1]]
    x = _layer_norm(_transformer(x, encoder.encoder, causal=True), encoder.ln_final)
    return _affine(x[np.arange(len(ids)), ids.argmax(1)], encoder.text_projector)


def reference_image(encoder, images):
    p = encoder.patch_size
    batch, side, _, channels = images.shape
    n = side // p
    patches = images.reshape(batch, n, p, n, p, channels).transpose(0, 1, 3, 2, 4, 5).reshape(batch, n * n, -1)
    kernel = _array(encoder.embeddings.conv1.kernel)
    x = patches @ kernel.reshape(-1, kernel.shape[-1])
    first = np.broadcast_to(_array(encoder.embeddings.class_embedding), (batch, 1, x.shape[-1]))
    x = np.concatenate([first, x], axis=1) + _array(encoder.embeddings.positional_embedding)
    x = _transformer(_layer_norm(x, encoder.pre_norm), encoder.encoder, causal=False)
    return _affine(_layer_norm(x[:, 0], encoder.post_norm), encoder.image_projector)


def reference_logits(f, g, scale):
    f, g = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (f, g))
    return np.exp(scale) * f @ g.T


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _prompts():
    return token_ids([*captions(), "random noise"], OPENAI_VOCABULARY)


def test_text_tower_is_the_reference(text_encoder):
    ids = _prompts()
    np.testing.assert_allclose(
        _numpy(clip.encode_text(text_encoder, ids)), reference_text(text_encoder, ids), atol=1e-5
    )


def test_image_tower_is_the_reference(image_encoder):
    images = np.random.default_rng(2).standard_normal((3, 12, 12, 3)).astype("float32")
    actual = _numpy(clip.encode_image(image_encoder, images))
    np.testing.assert_allclose(actual, reference_image(image_encoder, images), atol=1e-5)


def test_logits_are_the_reference():
    rng = np.random.default_rng(3)
    f, g = rng.standard_normal((5, 6)), rng.standard_normal((4, 6))
    actual = _numpy(clip.cosine_logits(f.astype("float32"), g.astype("float32"), logit_scale=2.0))
    np.testing.assert_allclose(actual, reference_logits(f, g, 2.0), atol=1e-5)


def test_an_image_scores_the_same_alone_and_in_a_batch(image_encoder, text_encoder):
    images = np.random.default_rng(4).standard_normal((5, 12, 12, 3)).astype("float32")
    g = clip.encode_text(text_encoder, _prompts())
    together = _numpy(clip.cosine_logits(clip.encode_image(image_encoder, images), g, logit_scale=1.0))
    for i in range(5):
        alone = clip.cosine_logits(clip.encode_image(image_encoder, images[i : i + 1]), g, logit_scale=1.0)
        np.testing.assert_allclose(_numpy(alone)[0], together[i], atol=1e-5)


def test_the_mask_hides_exactly_the_later_tokens():
    mask = _numpy(clip.causal_mask(4))
    assert np.all(mask[np.tril_indices(4)] == 0.0)
    assert np.all(mask[np.triu_indices(4, k=1)] <= -1e8)


def test_words_after_the_end_do_not_matter(text_encoder):
    ids = token_ids(["random noise"], OPENAI_VOCABULARY)
    padded = np.concatenate([ids, [[7, 320, 2867]]], axis=1).astype("int32")
    np.testing.assert_allclose(
        _numpy(clip.encode_text(text_encoder, ids)), _numpy(clip.encode_text(text_encoder, padded)), atol=1e-5
    )


def test_words_before_the_end_do_matter(text_encoder):
    g = _numpy(clip.encode_text(text_encoder, _prompts()))
    distances = np.linalg.norm(g[:, None] - g[None], axis=-1)
    assert distances[~np.eye(len(g), dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_ids_survive_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        encoder = _text_encoder()
        actual = _numpy(clip.encode_text(encoder, _prompts())).astype("float64")
    finally:
        keras.config.set_dtype_policy(before)
    expected = reference_text(encoder, _prompts())
    assert np.linalg.norm(actual - expected) / np.linalg.norm(expected) < 0.02


def test_float_ids_are_rejected(text_encoder):
    with pytest.raises(ValueError, match=r"must be integers.*float32"):
        clip.encode_text(text_encoder, _prompts().astype("float32"))


def test_too_long_a_caption_is_rejected(text_encoder):
    with pytest.raises(ValueError, match=r"at most 11 tokens.*12"):
        clip.encode_text(text_encoder, np.zeros((1, 12), "int32"))


def test_prepared_images_are_within_the_range_of_an_image_file():
    images = np.random.default_rng(5).choice([0, 255], size=(2, 28, 28, 1)).astype("uint8")
    prepared = _numpy(clip.prepare_openai(images, resolution=56))
    assert prepared.shape == (2, 56, 56, 3)
    unit = prepared * np.array(clip.OPENAI_STD) + np.array(clip.OPENAI_MEAN)
    assert unit.min() >= -1e-6 and unit.max() <= 1 + 1e-6
    np.testing.assert_allclose(unit[..., 0], unit[..., 2], atol=1e-5)


def test_a_flat_image_is_standardised_by_the_published_numbers():
    prepared = _numpy(clip.prepare_openai(np.full((1, 28, 28, 1), 255, "uint8"), resolution=224))
    expected = (1 - np.array(clip.OPENAI_MEAN)) / np.array(clip.OPENAI_STD)
    np.testing.assert_allclose(prepared[0, 100, 100], expected, atol=1e-5)


def test_the_thirty_captions_are_thirty_different_rows():
    for vocabulary in (OPENAI_VOCABULARY, SMALL_VOCABULARY):
        ids = token_ids(captions(), vocabulary)
        assert len(np.unique(ids, axis=0)) == 30
        assert np.all(ids[:, 0] == vocabulary[START])
        assert np.all(ids.max(axis=1) == vocabulary[END])
        assert vocabulary[PAD] == 0 and max(vocabulary.values()) == vocabulary[END]


def test_ids_are_those_of_openais_tokenizer():
    ids = token_ids(["a photo of the digit 3"], OPENAI_VOCABULARY)
    assert ids.tolist() == [[49406, 320, 1125, 539, 518, 27472, 274, 49407]]


def test_an_unknown_word_is_rejected():
    with pytest.raises(ValueError, match="cat"):
        token_ids(["a photo of the cat"], OPENAI_VOCABULARY)


def test_shares_are_a_softmax_over_the_digits_own_captions():
    logits = np.zeros((2, 30))
    logits[0, [3, 13, 23]] = np.log([0.5, 0.2, 0.3])  # digit 3: photo, blurry, clear
    logits[1, 14] = 50.0  # digit 4 looks blurry
    shares = caption_shares(logits, np.array([3, 4]))
    np.testing.assert_allclose(shares[0], [0.5, 0.2, 0.3])
    np.testing.assert_allclose(shares[1], [0, 1, 0], atol=1e-9)


def test_zero_shot_looks_at_the_photo_captions_only():
    logits = np.zeros((1, 30))
    logits[0, 7], logits[0, 11] = 1.0, 9.0
    assert zero_shot_hits(logits, [7]).all() and not zero_shot_hits(logits, [1]).any()


def test_scores_of_a_digit_are_means_over_its_images():
    logits = np.random.default_rng(6).standard_normal((40, 30))
    labels = np.arange(40) % 4
    scores = dict(score_logits(logits, labels))
    assert {name.split("/")[1] for name in scores} == {"0", "1", "2", "3", "all"}
    own = caption_shares(logits, labels)[labels == 2]
    assert scores["blurry/2"] == pytest.approx(100 * own[:, 1].mean())
    for key in ("0", "3", "all"):
        total = scores[f"photo/{key}"] + scores[f"blurry/{key}"] + scores[f"clear/{key}"]
        assert total == pytest.approx(100.0)
        assert scores[f"sharp/{key}"] == pytest.approx(100.0 - scores[f"blurry/{key}"])


def test_bad_input_is_rejected():
    images = np.zeros((2, 28, 28, 1), "uint8")
    with pytest.raises(ValueError, match="uint8"):
        clip_scores(images.astype("float32"), [0, 1])
    with pytest.raises(ValueError, match="28, 28, 1"):
        clip_scores(images[..., 0], [0, 1])
    with pytest.raises(ValueError, match=r"0\.\.9"):
        clip_scores(images, [0, 12])
