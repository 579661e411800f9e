"""Filters: functions of images and classes that say which to keep.

    confidence    p(class | image) of a judge is at least a threshold: also removes other classes than were asked for
    distance      the nearest training image is at least this far, as a root mean square in [0, 1]: removes copies

Images that a judge chose look better to the same judge than they are: measure them with another.
"""

import functools
from collections.abc import Callable

import numpy as np

from keras_ddpm.evaluation.arrays import DIGITS, Kind
from keras_ddpm.synthesis.plan import Plan

Filter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From images uint8 (B, H, W, C) and classes (B,) to booleans (B,): whether to keep them."""


def of_plan(plan: Plan) -> dict[str, Filter]:
    """The filters of a plan by name, in the order in which they are applied."""
    chosen: dict[str, Filter] = {}
    if plan.min_confidence is not None:
        chosen["confidence"] = confidence(plan.min_confidence, plan.judge)
    if plan.min_distance is not None:
        chosen["distance"] = distance(plan.min_distance, plan.dataset)
    return chosen


def confidence(threshold: float, judge: str | None) -> Filter:
    """Keeps images whose class has at least this probability; `judge` is a folder, None the shipped one."""
    from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier

    classifier = load_classifier(judge or SHIPPED)

    def keep(images, labels):
        probabilities, _ = classifier(images)
        return probabilities[np.arange(len(labels)), labels] >= threshold

    return keep


def distance(threshold: float, dataset: str) -> Filter:
    """Keeps images whose nearest training image is at least this far."""
    search = _search(dataset)
    return lambda images, labels: search(images)[0][:, 0] >= threshold


def weights_of(judge: str | None, kind: Kind = DIGITS) -> str:
    """SHA-256 of the weights of a judge that knows these images.

    Args:
        judge: Folder that `keras-ddpm judge` wrote; None for the shipped one.
        kind: What the images are.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or knows other images.
    """
    from keras_ddpm.evaluation.judges import folder
    from keras_ddpm.evaluation.judges.classifier import SHIPPED

    notes = folder.read_notes(judge or SHIPPED)
    if folder.kind_of(notes) != kind:
        raise ValueError(f"`judge` must know the preset's images. It knows {folder.kind_of(notes)}. Received: {kind}")
    return notes["weights_sha256"]


@functools.cache
def _search(dataset):
    from keras_ddpm import data
    from keras_ddpm.evaluation.metrics.memorisation import search_among

    return search_among(data.load(dataset, "train").images)
