"""One report over arrays: every figure of the generated images beside the same figure of real test images.

    figures[name] = {"model": metric(generated), "real": metric(test)}

Both are n images, compared with the same first n training images and looked for among all training images. What the
process shows (recognition, health) comes as frames and traces that someone else has drawn; here nothing is sampled.
"""

import time
from functools import partial

import numpy as np

from keras_ddpm.evaluation import health, recognition
from keras_ddpm.evaluation.metrics.accuracy import confusion
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.evaluation.judges.classifier import load_classifier, remember
from keras_ddpm.evaluation.corruptions.clip_reference import reference_scores
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.evaluation.metrics.memorisation import nearest_pairs
from keras_ddpm.evaluation.metrics import bind

METRICS = {
    "accuracy": ("accuracy",),
    "fid": ("distances",),
    "prdc": ("manifold",),
    "diversity": ("diversity",),
    "memorisation": ("memorisation", "memorisation_in_pixels"),
    "pixels": ("pixels",),
}
GROUPS = (*METRICS, "clip", "recognition", "health")
PROCESS = ("recognition", "health")  # these need more than the final images
MINIMUM = {"fid": 100, "prdc": 100}
KNOWN_BAD = ("wrong labels", "blobs", "cross-fades", "noise")
MOST_BAD = 1000


def choose_groups(only, *, arrays_only=False):
    """The groups that a comma-separated list names.

    Args:
        only: Such as "clip,fid"; None for all.
        arrays_only: Whether there are final images and no process.

    Returns:
        Tuple of names from `GROUPS`, in their order.

    Raises:
        ValueError: for an unknown name, or one that cannot be had from images alone.
    """
    if only is None:
        return tuple(name for name in GROUPS if not (arrays_only and name in PROCESS))
    asked = [name.strip() for name in only.split(",")]
    unknown = [name for name in asked if name not in GROUPS]
    if unknown or not asked:
        raise ValueError(f"`only` must be a list of {', '.join(GROUPS)}. Received: {only!r}")
    if arrays_only and set(asked) & set(PROCESS):
        raise ValueError(f"`only` cannot hold {' or '.join(PROCESS)} with images from a file. Received: {only!r}")
    return tuple(name for name in GROUPS if name in asked)


def check_counts(labels, groups, *, available, cas=False):
    """Fail early if there are too few images for what is asked, or more than there are real ones.

    Args:
        labels: int (n,), of the images to judge.
        groups: Names from `GROUPS`.
        available: Number of real test images.
        cas: Whether a classifier is to be trained.

    Raises:
        ValueError: saying how many it takes.
    """
    fewest = max([128 if cas else 10, *(MINIMUM.get(group, 10) for group in groups)])
    if not fewest <= len(labels) <= available:
        raise ValueError(
            f"`n` must be in {fewest}..{available}: at least what the metrics need, at most the number of real test "
            f"images to stand beside. Received: {len(labels)}"
        )
    digits, counts = np.unique(labels, return_counts=True)
    if "diversity" in groups and counts.min() < 2:
        raise ValueError(f"Diversity needs 2 images of each digit; of digit {digits[counts.argmin()]} there is one")


def measure(images, labels, *, test, training, groups, evaluator=None, process=None, cas_steps=0, notify=None):
    """Runs the metrics and puts the real images' figures beside.

    Args:
        images: uint8 (n, 28, 28, 1), generated.
        labels: int (n,), the digit each was meant to be.
        test: `(images, labels)`, real, n of them, not trained on.
        training: `(images, labels)`, all that the generator was trained on, at least n.
        groups: Names from `GROUPS`.
        evaluator: A `clip.ClipEvaluator`, for the group "clip".
        process: Dict with `forward`, `reverse` and `estimate`, each (frames, labels, progress), for "recognition", and
            `traces`, `steps`, `alpha_bar_end` for "health".
        cas_steps: Training steps of the classification accuracy score; 0 for none.
        notify: Called with the name of each stage as it begins; None for nothing.

    Returns:
        `(report, pictures)`: a dict of plain values, ready for JSON, and a dict of uint8 arrays for the page.

    Raises:
        ValueError: if an argument is not as described.
    """
    check_images(images)
    check_labels(labels, images)
    labels = np.asarray(labels)
    classifier = remember(load_classifier())
    n = len(images)
    metrics = bind(reference=(training[0][:n], training[1][:n]), training=training[0], classifier=classifier)
    both = partial(_beside, images=images, labels=labels, test=test)
    stages = {group: [metrics[name] for name in METRICS[group]] for group in groups if group in METRICS}
    report = {"n": n, "figures": {}, "seconds": {}}
    stage = partial(_stage, report, notify)
    for group, members in stages.items():
        with_real = stage(group, lambda members=members: [pair for m in members for pair in both(m)])
        report["figures"].update(with_real)
    if "accuracy" in groups:
        report["confusion"] = confusion(images, labels, classifier=classifier).tolist()
    if "clip" in groups:
        report["clip"] = stage("clip", lambda: clip_section(images, labels, test=test, evaluator=evaluator))
    if "recognition" in groups:
        report["recognition"] = stage("recognition", lambda: recognition_section(process))
    if "health" in groups:
        report["health"] = stage("health", lambda: health_section(process))
    if cas_steps:
        report["figures"].update(stage("cas", lambda: cas(images, labels, test, training=training, steps=cas_steps)))
    shown = stage("pictures", lambda: pictures(images, labels, training=training, classifier=classifier, groups=groups))
    return report, shown


def clip_section(images, labels, *, test, evaluator):
    """CLIP per digit for the generated and the real images, and over all for known-bad ones made from real ones.

    Args:
        images, labels, test, evaluator: See `measure`.

    Returns:
        Dict with the evaluator's name, `model`, `real` and `bad`: figures by name, without the evaluator's.
    """
    prefix = f"clip/{evaluator.name}/"
    rows = {"model": dict(clip_scores(images, labels, evaluator=evaluator))}
    rows["real"] = dict(clip_scores(*test, evaluator=evaluator))
    few = tuple(array[:MOST_BAD] for array in test)
    bad = dict(reference_scores(*few, evaluator=evaluator, names=KNOWN_BAD))
    short = {name: _without(prefix, scores) for name, scores in (rows | bad).items()}
    return {"evaluator": evaluator.name, "bad_n": len(few[0]), "bad": {name: short.pop(name) for name in bad}, **short}


def recognition_section(process):
    """Accuracy and F1 along the forward process, the reverse process and the x_0 estimates of the latter.

    Args:
        process: See `measure`.

    Returns:
        Dict from the curve's name to `progress`, `accuracy` (S,), `f1` (S, 10), the number of images, and the values
        that `recognition` yields.
    """
    yields = {"forward": recognition.forward_recognition}
    sections = {}
    classifier = remember(load_classifier())
    for name in ("forward", "reverse", "estimate"):
        frames, labels, progress = process[name]
        accuracy, f1 = recognition.curves(recognition.confusions(frames, labels, classifier=classifier))
        values = yields.get(name, recognition.reverse_recognition)
        values = dict(values(frames, labels, progress=progress, classifier=classifier))
        sections[name] = {
            "images": len(labels),
            "progress": np.asarray(progress).tolist(),
            "accuracy": accuracy.tolist(),
            "f1": f1.tolist(),
            "values": {key: value for key, value in values.items() if "@" not in key},
        }
    return sections


def health_section(process):
    """The statistics of the traces and what they say.

    Args:
        process: See `measure`.

    Returns:
        Dict with `steps`, `statistics` (mean, std, min, max at each step, by quantity) and `diagnosis`.
    """
    traces, steps = process["traces"], np.asarray(process["steps"]).tolist()
    found = health.diagnose(traces, steps=steps, alpha_bar_end=process["alpha_bar_end"])
    table = {name: health.statistics(trace).tolist() for name, trace in traces.items()}
    return {"steps": steps, "images": traces["x_t"].shape[1], "statistics": table, "diagnosis": found}


def cas(images, labels, test, *, training, steps):
    """The classification accuracy score, beside that of as many real training images.

    Args:
        images, labels, test, training: See `measure`.
        steps: Training steps.

    Returns:
        List of (name, {"model", "real"}).
    """
    score = partial(classification_accuracy_score, test=test, steps=steps)
    real = dict(score(training[0][: len(images)], training[1][: len(images)]))
    return [(name, {"model": value, "real": real[name]}) for name, value in score(images, labels)]


def pictures(images, labels, *, training, classifier, groups):
    """What a person should see: ten of each digit, the misread, and of each digit the nearest to a training image.

    Args:
        images, labels, training: See `measure`.
        classifier: Function from images to (probabilities, features).
        groups: Names from `GROUPS`.

    Returns:
        Dict of `grid` (pairs of digit and images), and, if asked for, `misread` (images, asked, read) and `nearest`
        (images, their nearest training images, distances).
    """
    shown = {"grid": [(int(digit), images[labels == digit][:10]) for digit in np.unique(labels)]}
    if "accuracy" in groups:
        read = classifier(images)[0].argmax(axis=1)
        wrong = np.flatnonzero(read != labels)[:20]
        shown["misread"] = (images[wrong], labels[wrong].tolist(), read[wrong].tolist())
    if "memorisation" in groups:
        few = images[:MOST_BAD]
        own, theirs, distance = nearest_pairs(few, training[0], count=len(few))
        first = np.sort(np.unique(labels[own], return_index=True)[1])  # the closest of each digit
        shown["nearest"] = (few[own[first]], training[0][theirs[first]], distance[first].tolist())
    return shown


def _beside(metric, *, images, labels, test):
    """Pairs of a name and the two values; a digit that only one side has is left out."""
    model, real = dict(metric(images, labels)), dict(metric(*test))
    return [(name, {"model": model[name], "real": real[name]}) for name in model if name in real]


def _stage(report, notify, name, work):
    """Does the work, says so, and keeps its time."""
    if notify:
        notify(name)
    start = time.perf_counter()
    result = work()
    report["seconds"][name] = round(time.perf_counter() - start, 2)
    return result


def _without(prefix, scores):
    return {name.removeprefix(prefix): value for name, value in scores.items()}
