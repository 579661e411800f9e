"""All figures of a report: each of the generated images beside the same figure of real test images.

    figures[name] = {"model": metric(generated), "real": metric(test)}

Both are n images, compared with the same first n training images, and copies are searched for among all training
images. Whatever the process shows (recognition, health) comes as frames and traces; nothing is sampled here.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.groups import METRICS
from keras_ddpm.evaluation.judges.classifier import Judge, load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.metrics import Pair, bind
from keras_ddpm.evaluation.metrics.accuracy import confusion
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.evaluation.metrics.clip_reference import reference_scores
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores
from keras_ddpm.evaluation.metrics.memorisation import closest_pairs, two_nearest_images
from keras_ddpm.evaluation.probes import health
from keras_ddpm.evaluation.probes.frames import Frames
from keras_ddpm.evaluation.probes.recognition import gone_at, readable_at, recognition
from keras_ddpm.evaluation.probes.traces import Traces

KNOWN_BAD = ("wrong labels", "blobs", "cross-fades", "noise")
MOST_BAD = 1000
MISREAD, SHOWN = 20, 10


def measure(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    test: Pair,
    training: Pair,
    groups: tuple[str, ...],
    judge: Judge | None = None,
    evaluator=None,
    frames: dict[str, Frames] | None = None,
    traces: Traces | None = None,
    cas_steps: int = 0,
    notify: Callable[[str], None] | None = None,
) -> tuple[dict, dict]:
    """Runs the metrics on the generated and on the real images.

    Args:
        images: uint8 (n, H, W, C), generated.
        labels: int (n,), the class each was meant to be.
        test: `(images, labels)`, real, n of them, not trained on.
        training: `(images, labels)`, everything the generator was trained on, at least n.
        groups: Names from `groups.GROUPS`.
        judge: What knows these images; None: the shipped one, which knows MNIST.
        evaluator: A `ClipEvaluator`, for the group "clip".
        frames: dict with `forward`, `reverse` and `estimate`, for the group "recognition".
        traces: `Traces`, for the group "health".
        cas_steps: Training steps of the classification accuracy score; 0 to leave it out.
        notify: Called with the name of each stage as it begins; None for nothing.

    Returns:
        `(content, pictures)`: a dict of plain values, ready for JSON, and a dict of uint8 arrays for the page.

    Raises:
        ValueError: if an argument is not as described.
    """
    judge = judge or load_classifier()
    kind, classifier = judge.kind, memoize(judge)
    check_images(images, kind=kind)
    check_labels(labels, images, kind=kind)
    labels, n = np.asarray(labels), len(images)
    search = memoize(lambda images: two_nearest_images(images, training[0]))
    reference = training[0][:n], training[1][:n]
    metrics = bind(reference=reference, training=training[0], classifier=classifier, search=search, kind=kind)
    content = {"n": n, "figures": {}, "seconds": {}}
    stage = partial(_stage, content, notify)
    for group in (group for group in groups if group in METRICS):
        members = [metrics[name] for name in METRICS[group]]
        content["figures"] |= stage(group, lambda members=members: _beside(members, (images, labels), test))
    if "accuracy" in groups:
        content["confusion"] = confusion(images, labels, classifier=classifier, kind=kind).tolist()
    if "clip" in groups:
        content["clip"] = stage("clip", lambda: clip_section(images, labels, test=test, evaluator=evaluator))
    if "recognition" in groups:
        content["recognition"] = stage("recognition", lambda: recognition_section(frames, judge))
    if "health" in groups:
        content["health"] = stage("health", lambda: health_section(traces))
    if cas_steps:
        score = partial(classification_accuracy_score, test=test, steps=cas_steps, kind=kind)
        content["figures"] |= stage("cas", lambda: _beside([score], (images, labels), test, real=reference))
    shown = stage("pictures", lambda: pictures(images, labels, groups, training[0], classifier, search))
    shown["real"] = {int(label): test[0][test[1] == label][:SHOWN] for label in np.unique(test[1])}
    return content, shown


def clip_section(images: np.ndarray, labels: np.ndarray, *, test: Pair, evaluator) -> dict:
    """CLIP per digit for the generated and the real images, and overall for known-bad ones made from real ones.

    Args:
        images, labels, test, evaluator: See `measure`.

    Returns:
        dict with the evaluator's name, and figures by name, without the evaluator's: `model`, `real` and `bad`.
    """
    prefix = f"clip/{evaluator.name}/"
    scores = {"model": dict(clip_scores(images, labels, evaluator=evaluator))}
    scores["real"] = dict(clip_scores(*test, evaluator=evaluator))
    few = tuple(array[:MOST_BAD] for array in test)
    bad = dict(reference_scores(*few, evaluator=evaluator, names=KNOWN_BAD))
    short = {row: {k.removeprefix(prefix): v for k, v in values.items()} for row, values in (scores | bad).items()}
    return {"evaluator": evaluator.name, "bad_n": len(few[0]), "bad": {row: short.pop(row) for row in bad}, **short}


def recognition_section(frames: dict[str, Frames] | None, judge: Judge | None = None) -> dict:
    """Accuracy and F1 along the forward process, the reverse process, and the x_0 estimates of the latter.

    Args:
        frames, judge: See `measure`.

    Returns:
        dict from the curve's name to the number of images and what `recognition` returns.

    Raises:
        ValueError: without frames.
    """
    if frames is None:
        raise ValueError("`frames` are needed for the group 'recognition'. Received: None")
    judge = judge or load_classifier()
    settled = {"forward": gone_at, "reverse": readable_at, "estimate": readable_at}
    sections = {}
    for name, where in settled.items():
        shown, labels, progress = frames[name]
        found = recognition(shown, labels, progress=progress, settled=where, classifier=judge, kind=judge.kind)
        sections[name] = {"images": len(labels), **found}
    return sections


def health_section(traces: Traces | None) -> dict:
    """The statistics of the traces, and what they say.

    Args:
        traces: See `measure`.

    Returns:
        dict with `steps`, the number of `images`, `statistics` (mean, std, min, max at each step, by quantity), and
        `diagnosis`.

    Raises:
        ValueError: without traces.
    """
    if traces is None:
        raise ValueError("`traces` are needed for the group 'health'. Received: None")
    steps = np.asarray(traces.steps).tolist()
    found = health.diagnose(traces.values, steps=steps, alpha_bar_end=traces.alpha_bar_end)
    table = {name: health.statistics(trace).tolist() for name, trace in traces.values.items()}
    return {"steps": steps, "images": traces.values["x_t"].shape[1], "statistics": table, "diagnosis": found}


def pictures(images, labels, groups, training, classifier, search) -> dict:
    """What a person should see: ten of each class, the misread, and of each class the nearest to a training image.

    Args:
        images, labels, groups: See `measure`.
        training: uint8 (M, H, W, C).
        classifier: Function from images to (probabilities, features).
        search: Function from images to distances and indices of their nearest training images.

    Returns:
        dict of `grid` (class, images and their places among all) and, if asked for, `misread` (images, asked, read,
        places) and `nearest` (images, their nearest training images, distances, places).
    """
    first = [(int(label), np.flatnonzero(labels == label)[:SHOWN]) for label in np.unique(labels)]
    shown: dict[str, Any] = {"grid": [(label, images[places], places.tolist()) for label, places in first]}
    if "accuracy" in groups:
        read = classifier(images)[0].argmax(axis=1)
        wrong = np.flatnonzero(read != labels)[:MISREAD]
        shown["misread"] = (images[wrong], labels[wrong].tolist(), read[wrong].tolist(), wrong.tolist())
    if "memorisation" in groups:
        own, theirs, distance = closest_pairs(search, images, count=len(images))
        closest = np.sort(np.unique(labels[own], return_index=True)[1])  # of each class
        own, theirs, distance = own[closest], theirs[closest], distance[closest]
        shown["nearest"] = (images[own], training[theirs], distance.tolist(), own.tolist())
    return shown


def _beside(metrics, model, test, *, real=None):
    """dict from a name to the two values; a class that only one side has is left out.

    `real` are the real images to measure, the test images unless given.
    """
    values = {}
    for metric in metrics:
        drawn, true = dict(metric(*model)), dict(metric(*(real or test)))
        values |= {name: {"model": drawn[name], "real": true[name]} for name in drawn if name in true}
    return values


def _stage(content, notify, name, work):
    """Does the work, announces it, and records its seconds."""
    if notify:
        notify(name)
    start = time.perf_counter()
    result = work()
    content["seconds"][name] = round(time.perf_counter() - start, 2)
    return result
