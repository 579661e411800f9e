"""CLIP: KerasCV's encoders, with what connects them corrected.

    f = E_image(x) / |E_image(x)|        each image normalised on its own
    g = E_text(ids) / |E_text(ids)|      causal mask, layer norm at 1e-5, row of the end token
    logits = exp(s) f g^T                (B, P)

The layers of keras-cv 0.9 are correct and used unchanged. The code around them is not: the head divides by the norm of
the whole batch, so an image's score depends on its neighbours; the text mask adds 1 instead of minus infinity, so words
attend to later ones; token ids pass through float inputs, where float16 turns 49407 into 49408. This module replaces
those few lines, following the paper's formulas, over the same layers and weights.

Reference:
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020,
    section 2.4 and figure 3.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ddpm.evaluation.judges.clip_captions import token_ids

# Mean and standard deviation, in [0, 1], of the images OpenAI trained on.
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclasses.dataclass(frozen=True)
class ClipEvaluator:
    """All that a CLIP needs to compare images with captions.

    Args:
        name: The name printed with every figure.
        image_encoder: `keras_cv` `CLIPImageEncoder`.
        text_encoder: `keras_cv` `CLIPTextEncoder`.
        logit_scale: s; logits are exp(s) times a cosine.
        vocabulary: dict from words to token ids, see `clip_captions`.
        prepare: Function from uint8 images (B, H, W, 1) to the image encoder's input.
    """

    name: str
    image_encoder: Any
    text_encoder: Any
    logit_scale: float
    vocabulary: dict
    prepare: Callable


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Sets float32 whatever the global policy is: figures must not depend on the precision of a training.

    Needed both to build and to call the towers: KerasCV's attention creates a `Dropout` layer at every call, which
    takes the global policy of that moment and would round the attention weights to it.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def encode_image(encoder: Any, images: Any) -> Any:
    """Runs the image tower.

    Args:
        encoder: `keras_cv` `CLIPImageEncoder`.
        images: float tensor (B, R, R, C), prepared for this encoder.

    Returns:
        Tensor (B, D), not normalised.
    """
    return encoder(images)


def causal_mask(length: int) -> Any:
    """The attention mask that hides later tokens.

    Args:
        length: Number of tokens L.

    Returns:
        float32 tensor (L, L): 0 on and below the diagonal, -1e9 above it, to be added to attention scores.
    """
    return ops.triu(ops.full((length, length), -1e9), k=1)


def encode_text(encoder: Any, ids: Any) -> Any:
    """Runs the text tower causally on int32 ids and takes the feature at the end token.

    No padding mask is needed: under a causal mask the end token cannot attend to the padding after it. For the same
    reason captions may be padded to any length up to the encoder's context.

    Args:
        encoder: `keras_cv` `CLIPTextEncoder`.
        ids: integer array or tensor (P, L).

    Returns:
        Tensor (P, D), not normalised.

    Raises:
        ValueError: if ids are not integers, or longer than the encoder's context.
    """
    kind = keras.backend.standardize_dtype(ids.dtype)
    if "int" not in kind:
        raise ValueError(f"`ids` must be integers, since float16 rounds 49407 to 49408. Received: {kind}")
    length = ids.shape[1]
    if length > encoder.context_length:
        raise ValueError(f"`ids` must hold at most {encoder.context_length} tokens per caption. Received: {length}")
    ids = ops.cast(ids, "int32")
    x = encoder.token_embedding(ids) + encoder.positional_embedding(ops.arange(length, dtype="int32"))  # (P, L, W)
    x = encoder.encoder(x, causal_attention_mask=causal_mask(length))
    x = _layer_norm(x, encoder.ln_final)
    end = ops.argmax(ids, axis=-1)  # (P,)
    x = ops.take_along_axis(x, end[:, None, None], axis=1)[:, 0]  # (P, W)
    return encoder.text_projector(x)


def _layer_norm(x, layer, *, epsilon=1e-5):
    """The layer with CLIP's epsilon; KerasCV keeps Keras's default of 1e-3."""
    return ops.layer_normalization(ops.cast(x, "float32"), layer.gamma, layer.beta, axis=-1, epsilon=epsilon)


def normalise(features: Any) -> Any:
    """Scales each row to unit length.

    Args:
        features: tensor (B, D).

    Returns:
        float32 tensor (B, D).
    """
    return ops.normalize(ops.cast(features, "float32"), axis=-1)


def cosine_logits(image_features: Any, text_features: Any, *, logit_scale: float) -> Any:
    """Compares each image with each caption.

    Args:
        image_features: tensor (B, D).
        text_features: tensor (P, D).
        logit_scale: s, the logarithm of the inverse temperature.

    Returns:
        float32 tensor (B, P). Row i depends on image i only.
    """
    scale = ops.exp(ops.cast(logit_scale, "float32"))
    return scale * normalise(image_features) @ ops.transpose(normalise(text_features))


def prepare_openai(images: np.ndarray, *, resolution: int = 224) -> Any:
    """Prepares images for OpenAI's weights: RGB, bicubic, clipped to [0, 1], standardised.

    Bicubic interpolation overshoots at a digit's sharp edges (to -35 and 295 of 255), which no image file could hold:
    values are clipped first.

    Args:
        images: uint8 array (B, H, W, 1) or (B, H, W, 3).
        resolution: Side R of the encoder's input, in pixels.

    Returns:
        float32 tensor (B, R, R, 3).
    """
    x = ops.convert_to_tensor(np.asarray(images, dtype="float32") / 255.0)
    x = ops.broadcast_to(x, (*x.shape[:3], 3))
    x = ops.image.resize(x, (resolution, resolution), interpolation="bicubic", data_format="channels_last")
    return (ops.clip(x, 0.0, 1.0) - np.array(OPENAI_MEAN, "float32")) / np.array(OPENAI_STD, "float32")


def text_features(evaluator: ClipEvaluator, texts: list[str]) -> np.ndarray:
    """Encodes captions, to be compared with any number of images.

    Args:
        evaluator: A `ClipEvaluator`.
        texts: P captions.

    Returns:
        float32 array (P, D).
    """
    ids = token_ids(texts, evaluator.vocabulary)
    with float32_policy():
        return ops.convert_to_numpy(encode_text(evaluator.text_encoder, ids))


def image_logits(
    evaluator: ClipEvaluator, images: np.ndarray, *, captions: np.ndarray, batch_size: int = 250
) -> np.ndarray:
    """Compares images with captions.

    Args:
        evaluator: A `ClipEvaluator`.
        images: uint8 array (N, H, W, 1).
        captions: float32 array (P, D) from `text_features`.
        batch_size: Images encoded at a time; affects memory and time, not the result.

    Returns:
        float32 array (N, P).
    """
    batches = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
    rows = []
    for batch in batches:
        with float32_policy():
            features = encode_image(evaluator.image_encoder, evaluator.prepare(batch))
        rows.append(ops.convert_to_numpy(cosine_logits(features, captions, logit_scale=evaluator.logit_scale)))
    return np.concatenate(rows)
