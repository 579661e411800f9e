"""Filters: functions of images and digits that say which to keep.

    confidence    p(digit | image) of a judge is at least a threshold: also removes other digits than were asked for
    distance      the nearest training image is at least this far, as a root mean square in [0, 1]: removes copies

Images that a judge chose look better to the same judge than they are: measure them with another.
"""

import functools
import json
import pathlib
from collections.abc import Callable

import numpy as np

from keras_ddpm import files
from keras_ddpm.synthesis.plan import Plan

Filter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From images uint8 (B, 28, 28, 1) and digits (B,) to booleans (B,): whether to keep them."""


def of_plan(plan: Plan) -> dict[str, Filter]:
    """The filters of a plan by name, in the order in which they are applied."""
    chosen: dict[str, Filter] = {}
    if plan.min_confidence is not None:
        chosen["confidence"] = confidence(plan.min_confidence, plan.judge)
    if plan.min_distance is not None:
        chosen["distance"] = distance(plan.min_distance, plan.dataset)
    return chosen


def confidence(threshold: float, judge: str | None) -> Filter:
    """Keeps images whose digit has at least this probability; `judge` is a weights file, None the shipped one."""
    classifier = _judge(judge)

    def keep(images, digits):
        probabilities, _ = classifier(images)
        return probabilities[np.arange(len(digits)), digits] >= threshold

    return keep


def distance(threshold: float, dataset: str) -> Filter:
    """Keeps images whose nearest training image is at least this far."""
    search = _search(dataset)
    return lambda images, digits: search(images)[0][:, 0] >= threshold


def weights_of(judge: str | None) -> str:
    """SHA-256 of a judge's weights file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: without its notes, which name the architecture.
    """
    path, _ = _files(judge)
    return files.sha256(path)


def _files(judge):
    """A judge's weights file, and its architecture."""
    from keras_ddpm.evaluation.judges.classifier import ARCHITECTURES, SHIPPED

    path = SHIPPED if judge is None else pathlib.Path(judge)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {str(path)!r} of a judge")
    notes = path.with_name(path.name.replace(".weights.h5", ".json"))
    try:
        arch = json.loads(notes.read_text())["arch"]
    except (OSError, ValueError, KeyError, TypeError):
        arch = None
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"`judge` must be a weights file of train_classifier, with its notes beside it. Received: {str(path)!r}"
        )
    return path, arch


@functools.cache
def _judge(judge):
    from keras_ddpm.evaluation.judges.classifier import load_classifier

    path, arch = _files(judge)
    return load_classifier(path, arch=arch)


@functools.cache
def _search(dataset):
    from keras_ddpm import data
    from keras_ddpm.evaluation.metrics.memorisation import search_among

    return search_among(data.load(dataset, "train").images)
