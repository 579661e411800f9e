"""OpenAI's CLIP through KerasCV's presets, for those who have the weights.

The weights come from the Kaggle hub, or from the directory in `KAGGLEHUB_CACHE` if it already holds them. If neither
does, loading fails with an error: an evaluator is never silently replaced by another.

KerasCV's conversion appears to have stored the patch kernel with height and width swapped. A wrong guess would silently
cost most of the accuracy, so nothing is guessed: both orientations are tried on a few hundred real digits, the better
one is kept, and the log says which.

    patch kernel k: (h, w, in, out)     transposed: (w, h, in, out)
"""

import logging

import numpy as np
from keras import ops

from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.judges import clip_towers, digit_clip
from keras_ddpm.evaluation.judges.caption_scores import zero_shot_hits
from keras_ddpm.evaluation.judges.clip_captions import OPENAI_VOCABULARY, captions

logger = logging.getLogger(__name__)

PRESETS = ("clip-vit-base-patch32", "clip-vit-base-patch16", "clip-vit-large-patch14", "clip-vit-large-patch14-336")
NO_WEIGHTS = """\
Could not load the weights of the CLIP preset "{preset}". Either
  - connect to the Kaggle hub (`pip install kagglehub keras-nlp`), which downloads them once; or
  - set KAGGLEHUB_CACHE to a copy of the cache of a machine that has loaded the preset before; or
  - use the evaluator "digit_clip", the small CLIP shipped with this package (not OpenAI's).
Received: {kind}: {error}"""


def _as_evaluator(model, *, name):
    """Wraps a KerasCV CLIP model; its own call and head are not used."""
    resolution = model.image_resolution
    return clip_towers.ClipEvaluator(
        name=name,
        image_encoder=model.image_encoder,
        text_encoder=model.text_encoder,
        logit_scale=float(ops.convert_to_numpy(model.get_layer("clip_head").logit_scale)),
        vocabulary=OPENAI_VOCABULARY,
        prepare=lambda images: clip_towers.prepare_openai(images, resolution=resolution),
    )


def zero_shot_accuracy(
    evaluator: clip_towers.ClipEvaluator, images: np.ndarray, labels: np.ndarray, *, batch_size: int = 50
) -> float:
    """Ten-way zero-shot accuracy over the photo captions.

    Args:
        evaluator: A `clip_towers.ClipEvaluator`.
        images: uint8 array (N, 28, 28, 1).
        labels: int array (N,).
        batch_size: images encoded at a time.

    Returns:
        Accuracy in [0, 1].
    """
    text = clip_towers.text_features(evaluator, captions())
    logits = clip_towers.image_logits(evaluator, images, captions=text, batch_size=batch_size)
    return float(np.mean(zero_shot_hits(logits, labels)))


def orient_patch_kernel(
    evaluator: clip_towers.ClipEvaluator, images: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Keeps the orientation of the patch kernel that recognises more real digits, and logs it.

    Args:
        evaluator: A `clip_towers.ClipEvaluator`; its patch kernel may be changed.
        images: uint8 array (N, 28, 28, 1), real images; about 500 are enough.
        labels: int array (N,).

    Returns:
        dict with the accuracy in [0, 1] of "as stored" and "transposed".
    """
    kernel = evaluator.image_encoder.embeddings.conv1.kernel
    stored = ops.convert_to_numpy(kernel)  # (h, w, in, out)
    orientations = {"as stored": stored, "transposed": stored.transpose(1, 0, 2, 3)}
    accuracy = {}
    for orientation, value in orientations.items():
        kernel.assign(value)
        accuracy[orientation] = zero_shot_accuracy(evaluator, images, labels)
    best = max(accuracy, key=accuracy.__getitem__)  # on a tie the stored one is kept
    kernel.assign(orientations[best])
    shown = ", ".join(f"{orientation} {100 * value:.1f} %" for orientation, value in accuracy.items())
    logger.info("%s: patch kernel %s (%s right of %d real digits)", evaluator.name, best, shown, len(images))
    if accuracy[best] < 0.2:
        logger.warning("%s hardly recognises real digits in either orientation (%s)", evaluator.name, shown)
    return accuracy


def load_clip_preset(
    images: np.ndarray, labels: np.ndarray, *, preset: str = "clip-vit-base-patch32"
) -> clip_towers.ClipEvaluator:
    """Loads OpenAI's CLIP with its patch kernel in the right orientation.

    Args:
        images: uint8 array (N, 28, 28, 1), about 500 real images to orient the patch kernel with, which takes about two
            minutes on one core for ViT-B/32.
        labels: int array (N,).
        preset: One of `PRESETS`.

    Returns:
        A `clip_towers.ClipEvaluator` named after the preset, in float32.

    Raises:
        ValueError: if the preset is unknown, or images or labels have the wrong shape, dtype or range.
        RuntimeError: if the weights cannot be loaded; the message says what to do.
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {list(PRESETS)}. Received: {preset!r}")
    check_images(images)
    check_labels(labels, images)
    try:
        import keras_cv

        with clip_towers.float32_policy():
            model = keras_cv.models.CLIP.from_preset(preset)
    # The hub fails in many ways, and all of them mean "no weights".
    except Exception as error:
        raise RuntimeError(NO_WEIGHTS.format(preset=preset, kind=type(error).__name__, error=error)) from error
    evaluator = _as_evaluator(model, name=preset)
    orient_patch_kernel(evaluator, images, labels)
    return evaluator


def load_evaluator(
    name: str = digit_clip.NAME, *, images: np.ndarray | None = None, labels: np.ndarray | None = None
) -> clip_towers.ClipEvaluator:
    """Loads an evaluator by name.

    Args:
        name: "digit_clip" (shipped), or one of `PRESETS` (OpenAI's weights).
        images: uint8 array (N, 28, 28, 1), real images, needed by the presets only.
        labels: int array (N,).

    Returns:
        A `clip_towers.ClipEvaluator`.

    Raises:
        ValueError: if the name is unknown, or a preset is given no real images.
        RuntimeError: if the weights cannot be loaded.
    """
    if name == digit_clip.NAME:
        return digit_clip.load_digit_clip()
    if name not in PRESETS:
        raise ValueError(f"`name` must be one of {[digit_clip.NAME, *PRESETS]}. Received: {name!r}")
    if images is None or labels is None:
        raise ValueError(f"{name} needs about 500 real `images` and their `labels` to orient its patch kernel.")
    return load_clip_preset(images, labels, preset=name)
