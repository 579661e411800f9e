"""The CLIP figures of images: how sharp are they, and is it the right digit? See `judges.caption_scores`.

Every figure's name contains the evaluator's, and none means much without the same figure for real images beside it.
"""

from collections.abc import Iterator

import numpy as np

from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.judges import clip_towers, digit_clip
from keras_ddpm.evaluation.judges.caption_scores import score_logits
from keras_ddpm.evaluation.judges.clip_captions import captions


def clip_scores(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    evaluator: clip_towers.ClipEvaluator | None = None,
    batch_size: int = 250,
) -> Iterator[tuple[str, float]]:
    """Scores images with CLIP.

    Args:
        images: uint8 array (N, 28, 28, 1).
        labels: int array (N,), the digit each image was meant to be.
        evaluator: A `ClipEvaluator`; by default the small digit CLIP shipped with this package, which is not OpenAI's.
            See `openai_clip.load_evaluator`.
        batch_size: Images encoded at a time.

    Returns:
        Iterator of (name, percent), names as in `score_logits` after `clip/<evaluator's name>/`.

    Raises:
        ValueError: if images or labels have the wrong shape, dtype or range.

    Example:
        >>> dict(clip_scores(images, labels))["clip/digit_clip/sharp/all"]
    """
    check_images(images)
    check_labels(labels, images)
    evaluator = evaluator or digit_clip.load_digit_clip()
    texts = clip_towers.text_features(evaluator, captions())
    logits = clip_towers.image_logits(evaluator, images, captions=texts, batch_size=batch_size)
    return ((f"clip/{evaluator.name}/{name}", value) for name, value in score_logits(logits, labels))
