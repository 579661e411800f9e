"""The CLIP figures: photo / blurry / clear per digit, sharp against blurry, and 10-way zero-shot recognition.

For an image meant to be the digit d, softmax over the three captions of d gives three shares that sum to one. "photo"
and "clear" both say that the digit is good, and compete with each other: a perfect image may score 50 / 0 / 50. The
figure to read is therefore

    sharp = P(photo) + P(clear) = 1 - P(blurry)

Zero-shot accuracy asks whether "a photo of the digit d" beats the photo captions of the nine other digits. Every
figure's name carries the evaluator's, and none means much without the same figure for real images beside it.
"""

import numpy as np

from keras_ddpm.evaluation.judges.clip_captions import CAPTIONS, captions
from keras_ddpm.evaluation.arrays import check_images, check_labels


def caption_shares(logits, labels):
    """Softmax over the three captions of the digit each image was meant to be.

    Args:
        logits: float array (N, 30), columns as in `clip_prompts.captions()`.
        labels: int array (N,), in 0..9.

    Returns:
        float64 array (N, 3): shares of photo, blurry, clear; rows sum to 1.
    """
    table = np.asarray(logits, dtype="float64").reshape(len(logits), len(CAPTIONS), 10)
    own = table[np.arange(len(logits)), :, labels]  # (N, 3)
    weights = np.exp(own - own.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def zero_shot_hits(logits, labels):
    """Whether the photo caption of the right digit is the best of the ten.

    Args:
        logits: float array (N, 30), columns as in `clip_prompts.captions()`.
        labels: int array (N,), in 0..9.

    Returns:
        bool array (N,).
    """
    return np.argmax(np.asarray(logits)[:, :10], axis=1) == np.asarray(labels)


def score_logits(logits, labels):
    """Averages shares and hits over each digit and over all images.

    Args:
        logits: float array (N, 30), columns as in `clip_prompts.captions()`.
        labels: int array (N,), in 0..9.

    Returns:
        Iterator of (name, percent): `photo/d`, `blurry/d`, `clear/d`, `sharp/d`, `zero_shot/d` for each digit d that
        occurs, then the same for `all`.
    """
    labels = np.asarray(labels)
    shares = caption_shares(logits, labels)
    columns = dict(zip(CAPTIONS, shares.T, strict=True))
    columns["sharp"] = 1.0 - columns["blurry"]
    columns["zero_shot"] = zero_shot_hits(logits, labels)
    for digit in [*np.unique(labels).tolist(), "all"]:
        chosen = slice(None) if digit == "all" else labels == digit
        for figure, values in columns.items():
            yield f"{figure}/{digit}", 100.0 * float(np.mean(values[chosen]))


def clip_scores(images, labels, *, evaluator=None, batch_size=250):
    """Scores images with CLIP.

    Args:
        images: uint8 array (N, 28, 28, 1).
        labels: int array (N,), the digit each image was meant to be.
        evaluator: A `clip.ClipEvaluator`; by default the small digit CLIP shipped with this package, which is not
            OpenAI's. See `clip_presets.load_evaluator`.
        batch_size: images encoded at a time.

    Returns:
        Iterator of (name, percent), names as in `score_logits` after `clip/<evaluator's name>/`.

    Raises:
        ValueError: when images or labels have the wrong shape, type or range.

    Example:
        >>> dict(clip_scores(images, labels))["clip/digit_clip/sharp/all"]
    """
    check_images(images)
    check_labels(labels, images)
    from keras_ddpm.evaluation import clip, digit_clip

    evaluator = evaluator or digit_clip.load_digit_clip()
    logits = clip.image_logits(
        evaluator, images, captions=clip.text_features(evaluator, captions()), batch_size=batch_size
    )
    return ((f"clip/{evaluator.name}/{name}", value) for name, value in score_logits(logits, labels))
