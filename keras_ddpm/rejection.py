"""Rejection: of several candidates for each picture, the one that a judge likes best.

    seed_0 = seed,  seed_k = threefry(seed, k)
    k* = argmax_k judge(image of seed_k, digit)

The candidates follow from the seed alone, so the choice is the same in any batch, and the chosen candidate's own seed
draws it again without a judge. What a judge chose looks better to this judge than it is: measure it with another.

Reference: Razavi et al. (rejection by a classifier), arXiv 1906.00446, section 3.4; Ramesh et al. (the best of several
by CLIP), arXiv 2102.12092, section 2.6.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import noise
from keras_ddpm.config import choose
from keras_ddpm.runtimes import numpy_ops

MOST = 1_000
ATTEMPT = 0xA77E3975  # no step of any sampler, so no candidate's key is a number that noise is made of

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From images uint8 (N, H, W, C) and digits (N,) to scores (N,), of which the highest is the best."""


def check(best_of: Any, judge: Any, image_shape, num_classes: int) -> None:
    """Raise unless `best_of` and `judge` can be used for these images.

    Args:
        best_of: Candidates for each picture, 1 ... 1,000.
        judge: A name in `JUDGES`, the folder of a judge that `keras-ddpm judge` wrote, or a `Judge`.
        image_shape, num_classes: What is drawn.

    Raises:
        ValueError: for a number that is out of range, an unknown judge, or one of other images.
        FileNotFoundError: for a folder without a judge.
    """
    from keras_ddpm.evaluation.arrays import DIGITS

    if isinstance(best_of, bool) or not isinstance(best_of, int | np.integer) or not 1 <= best_of <= MOST:
        raise ValueError(f"`best_of` must be an integer in 1..{MOST}. Received: {best_of!r:.60}")
    if callable(judge):
        return
    if not _is_folder(judge):
        choose(JUDGES, judge, "judge")
    if best_of == 1:
        return
    if _is_folder(judge):
        _check_folder(judge, image_shape, num_classes)
    elif (tuple(image_shape), num_classes) != DIGITS:
        raise ValueError(
            f"`judge` {judge!r} knows digits of 28 x 28 pixels: give a judge's folder, or a function, for other "
            f"images. Received: {num_classes} classes of {tuple(image_shape)}"
        )


def _is_folder(judge):
    return isinstance(judge, str | pathlib.Path) and judge not in JUDGES and pathlib.Path(judge).is_dir()


def _check_folder(judge, image_shape, num_classes):
    from keras_ddpm.evaluation.judges.folder import kind_of, read_notes
    from keras_ddpm.evaluation.sources import check_kind

    check_kind(image_shape, num_classes, kind_of(read_notes(judge)))


def candidates(seed: np.ndarray, best_of: int) -> np.ndarray:
    """The seeds of the candidates, of which each seed is the first: int64 (...) -> (..., best_of)."""
    high, low = np.moveaxis(noise.split_seed(seed), -1, 0)[..., None]
    attempt = np.arange(best_of, dtype="uint32")
    x, y = noise.threefry_2x32((high, low), (attempt, np.full_like(attempt, ATTEMPT)), ops=numpy_ops)
    others = (np.asarray(x, "uint64") >> np.uint64(1)) << np.uint64(32) | np.asarray(y, "uint64")
    return np.where(attempt == 0, seed[..., None], others.astype("int64"))


def best(images: np.ndarray, digit: np.ndarray, judge: str | pathlib.Path | Judge) -> np.ndarray:
    """Which candidate of each picture is the best.

    Args:
        images: uint8 (N, K, H, W, C).
        digit: int (N,).
        judge: See `check`.

    Returns:
        int (N,), the first of equals.

    Raises:
        ValueError: for a judge that does not return one number for each image.
    """
    N, K = images.shape[:2]
    scores = np.asarray(_score(judge)(images.reshape(N * K, *images.shape[2:]), np.repeat(digit, K)))
    if scores.shape != (N * K,) or not np.all(np.isfinite(scores)):
        raise ValueError(f"`judge` must return one finite number for each of {N * K} images. Received: {scores!r:.60}")
    return np.argmax(scores.reshape(N, K), axis=1)


def _score(judge) -> Judge:
    return judge if callable(judge) else JUDGES.get(judge) or by_folder(judge)


def by_classifier(images: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """The shipped classifier's probability of the digit."""
    from keras_ddpm.evaluation.judges.classifier import SHIPPED

    return by_folder(SHIPPED)(images, digit)


def by_folder(folder: str | pathlib.Path) -> Judge:
    """A judge on disk as a score: its probability of the class."""
    from keras_ddpm.evaluation.judges.classifier import load_classifier

    classifier = load_classifier(folder)
    return lambda images, digit: classifier(images)[0][np.arange(len(digit)), digit]


def by_clip(images: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """The shipped digit CLIP's share of the captions that say the digit is there, and sharp."""
    from keras_ddpm.evaluation.judges import caption_scores, clip_captions, clip_towers, digit_clip

    evaluator = digit_clip.load_digit_clip()
    texts = clip_towers.text_features(evaluator, clip_captions.captions())
    return caption_scores.digit_shares(clip_towers.image_logits(evaluator, images, captions=texts), digit)


JUDGES: dict[str, Judge] = {"classifier": by_classifier, "clip": by_clip}
