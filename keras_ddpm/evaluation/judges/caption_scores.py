"""What the logits of a CLIP mean: photo / blurry / clear per digit, sharp against blurry, zero-shot recognition.

For an image meant to be the digit d, softmax over the three captions of d gives three shares that sum to one. "photo"
and "clear" both say that the digit is good, and compete with each other: a perfect image may score 50 / 0 / 50. The
figure to read is therefore

    sharp = P(photo) + P(clear) = 1 - P(blurry)

Zero-shot accuracy asks whether "a photo of the digit d" beats the photo captions of the nine other digits.
"""

from collections.abc import Iterator

import numpy as np
from scipy import special

from keras_ddpm.evaluation.judges.clip_captions import CAPTIONS


def caption_shares(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Softmax over the three captions of the digit each image was meant to be.

    Args:
        logits: float array (N, 30), columns as in `clip_captions.captions()`.
        labels: int array (N,), in 0..9.

    Returns:
        float64 array (N, 3): shares of photo, blurry, clear; rows sum to 1.
    """
    table = np.asarray(logits, dtype="float64").reshape(len(logits), len(CAPTIONS), 10)
    own = table[np.arange(len(logits)), :, labels]  # (N, 3)
    return special.softmax(own, axis=1)


def digit_shares(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Softmax over all captions: the share of those that say that the digit is there, and sharp.

    Args:
        logits, labels: See `caption_shares`.

    Returns:
        float64 array (N,): shares of photo and clear of the digit, together.
    """
    shares = special.softmax(np.asarray(logits, dtype="float64"), axis=1).reshape(len(logits), len(CAPTIONS), 10)
    return shares[np.arange(len(logits)), :, labels][:, [0, 2]].sum(axis=1)


def zero_shot_hits(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the photo caption of the right digit is the best of the ten.

    Args:
        logits: float array (N, 30), columns as in `clip_captions.captions()`.
        labels: int array (N,), in 0..9.

    Returns:
        bool array (N,).
    """
    return np.argmax(np.asarray(logits)[:, :10], axis=1) == np.asarray(labels)


def score_logits(logits: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, float]]:
    """Averages shares and hits over each digit and over all images.

    Args:
        logits: float array (N, 30), columns as in `clip_captions.captions()`.
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
