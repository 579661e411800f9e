"""What a reader needs to reproduce a report: command, seeds, data, judges, machine, versions."""

import os
import pathlib
import platform
import time

from keras_ddpm import presets
from keras_ddpm.evaluation.judges import digit_clip
from keras_ddpm.evaluation.sources import Source

DIGIT_CLIP_NOTE = (
    "A small CLIP of this project, trained on MNIST and on degraded digits. It is not OpenAI's: compare its figures "
    "with the real and the known-bad rows, not with the original report's, which come from OpenAI's."
)
OPENAI_NOTE = "OpenAI's CLIP, through KerasCV's layers."
DEFAULTS = {
    "n": None,
    "w": None,
    "sampler": None,
    "steps": None,
    "temperature": None,
    "seed": 0,
    "only": None,
    "cas": False,
    "clip": "digit",
    "dataset": "mnist",
    "judge": None,
}
"""Arguments that a command need not repeat."""
OF_DIGITS = ("mnist", "digits_8x8", "colour_mnist", "canvas_mnist")
"""Data sets whose classes a reader calls digits."""


def describe(source: Source, *, n: int, training: int, judge: dict, evaluator: str | None, settings: dict) -> dict:
    """The facts of a report.

    Args:
        source: What was evaluated.
        n: Number of images.
        training: Number of training images.
        judge: The notes of the classifier, see `judges.folder`.
        evaluator: The name of the CLIP; None if there was none.
        settings: The arguments of `evaluate`, without the source.

    Returns:
        dict of texts: title, lead, judges, clip, command, and noun, what a class is called; `rows` is a dict of more;
        `first_seed` is the first image's, None for given images.
    """
    dataset, shipped = settings["dataset"] or judge["dataset"], settings["judge"] is None
    seed, drawn = settings["seed"], source.build is not None
    shards = {} if source.data_set is None else _shards(source.data_set, n, judge)
    judges = [f"Classifier: {_classifier(judge, shipped=shipped)}."]
    labels = "as in the real test images" if drawn else "as given with the images"
    noun = "digit" if shipped or judge["dataset"] in OF_DIGITS else "class"
    if evaluator:
        judges.append(f"CLIP: {evaluator}{', not OpenAI’s' if evaluator == digit_clip.NAME else ''}.")
    rows = {
        {"digit": "digits", "class": "classes"}[noun]: labels,
        "seeds": f"{seed} to {seed + n - 1}" if drawn else f"{seed}, for the choice of images",
        "real images": f"{dataset}: the first {n} of the test split; both are compared with the first {n} of the "
        f"training split, and copies are searched for among all {training} of it",
        **shards,
        "judges": " ".join(judges),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(f"{name} {version}" for name, version in presets.versions().items()),
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    return {
        "title": source.title,
        "lead": f"{n} images beside {n} real test images{f'; {source.sampling}' if source.sampling else ''}.",
        "judges": " ".join(judges),
        "clip": "" if not evaluator else DIGIT_CLIP_NOTE if evaluator == digit_clip.NAME else OPENAI_NOTE,
        "command": _command(source, settings),
        "noun": noun,
        "first_seed": seed if drawn else None,
        "rows": rows,
    }


def _shards(data_set, n, judge):
    """What was counted over all images, and how they were chosen."""
    counted = (
        f"accuracy, confidence, confusion, pixels and the second Fréchet distance over all {len(data_set)} images; "
        f"everything else on {n} of them, chosen at random"
    )
    settings, removed = data_set.settings, data_set.content["removed"]
    chosen = ", ".join(f"{count} removed by {name}" for name, count in removed.items())
    if settings["judge_weights"] == judge["weights_sha256"]:
        chosen += ". The classifier that measures here chose them too, so its figures flatter"
    return {"shards": f"{counted}.", **({"filters": f"{chosen}."} if chosen else {})}


def _command(source, settings):
    """The command, or the call, that makes the same report."""
    changed = {name: value for name, value in settings.items() if value is not None and value != DEFAULTS[name]}
    if source.flags is None:
        arguments = [source.python, *(f"{name}={value!r}" for name, value in changed.items())]
        return f"keras_ddpm.evaluate({', '.join(arguments)})"
    flags = [f"--{name}" if value is True else f"--{name} {value}" for name, value in changed.items()]
    return " ".join(["python -m keras_ddpm evaluate", source.flags, *flags])


def _classifier(judge, *, shipped):
    right = f"{100 * judge['test_accuracy']:.2f} %"
    if shipped:
        return f"{judge['arch']}, shipped, {right} of the MNIST test images right"
    mark = judge["weights_sha256"][:12]
    return f"{judge['arch']}, trained on {judge['dataset']}, {right} of its test images right, weights {mark}"


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
