"""An evaluation before its metrics: what was asked for is checked, data and judges are loaded, images are drawn."""

import dataclasses
import json
import os
import pathlib
import platform
import time
import zipfile
from typing import Any

import numpy as np

from keras_ddpm import config, data, guidance, presets, process, samplers
from keras_ddpm.evaluation import report
from keras_ddpm.evaluation.metrics.cas import read_pairs
from keras_ddpm.evaluation.judges.classifier import SHIPPED
from keras_ddpm.evaluation.judges.openai_clip import PRESETS, load_evaluator
from keras_ddpm.evaluation.arrays import check_images, check_labels
from keras_ddpm.request import check_request, in_words, w_of_class

DEFAULT_N = 1_000
DIGIT_CLIP = "digit_clip"
CLIP_NOTES = (
    "OpenAI's CLIP, by way of KerasCV's layers.",
    "A small CLIP of this project, trained on MNIST and on spoilt digits. It is not OpenAI's: read its figures beside "
    "the real and the known-bad rows, not beside the original report's, which come from OpenAI's.",
)


@dataclasses.dataclass(frozen=True)
class Job:
    """All that is known before the first image is drawn."""

    groups: tuple
    labels: np.ndarray
    test: tuple
    training: tuple
    evaluator: Any
    images: np.ndarray | None = None
    sampling: Any = None
    generator: Any = None
    source: str = ""


def prepare(ask):
    """Check, and load all that it takes; everything that can fail fails here, before any work.

    Args:
        ask: `evaluate.Evaluate`.

    Returns:
        `Job`.

    Raises:
        ValueError: for anything that cannot be.
        OSError: for files, data or weights that are not there.
    """
    if ask.n is not None and ask.n < 1:
        raise ValueError(f"`n` must be at least 1. Received: {ask.n}")
    source, folder = _source(ask)
    groups = report.choose_groups(ask.only, arrays_only=ask.images is not None)
    sampling = None if ask.images else _sampling(ask, folder)
    evaluator_name = _clip_name(ask.clip)
    test, training = _real(ask.dataset)
    images, labels = _from_file(ask, len(test[0])) if ask.images else (None, test[1][: ask.n or DEFAULT_N])
    if images is None and ask.n and ask.n > len(labels):
        labels = np.resize(labels, ask.n)  # too many: for the check to say so
    report.check_counts(labels, groups, available=min(len(test[0]), len(training[0])), cas=ask.cas)
    _check_out(ask.out)
    return Job(
        groups=groups,
        labels=labels,
        test=tuple(array[: len(labels)] for array in test),
        training=training,
        evaluator=_evaluator(evaluator_name, test) if "clip" in groups else None,
        images=images,
        sampling=sampling,
        generator=presets.load_preset(folder, **dataclasses.asdict(sampling)) if sampling else None,
        source=source,
    )


def _source(ask):
    """What is measured, in words, and the preset's name or folder."""
    if sum(value is not None for value in (ask.preset, ask.run_folder, ask.images)) > 1:
        raise ValueError("Give one of --preset, --run and --images, not two")
    if ask.images:
        if (ask.w, ask.sampler, ask.steps) != (None, None, None):
            raise ValueError("--w, --sampler and --steps do nothing to --images, which are there already")
        if not ask.images.is_file():
            raise FileNotFoundError(f"There is no file {str(ask.images)!r}")
        return f"images of {ask.images.name}", None
    folder = ask.preset or ask.run_folder or "mnist"
    weights = presets.weights_file(folder)
    if not weights.is_file():
        raise FileNotFoundError(f"There are no weights yet: {str(weights)!r}")
    return f"preset {ask.preset or 'mnist'}" if not ask.run_folder else f"run {ask.run_folder.name}", folder


def _sampling(ask, folder):
    """The `SamplingConfig` asked for, once it is known to be possible."""
    settings, image_shape, num_classes = presets.read_config(folder)
    if (image_shape, num_classes) != ((28, 28, 1), 10):
        raise ValueError(
            f"The judges know 28 x 28 x 1 digits 0..9. The preset draws {image_shape}, {num_classes} classes"
        )
    trained_on = settings.data.dataset
    if trained_on != ask.dataset and not any(name.endswith(".npz") for name in (trained_on, ask.dataset)):
        raise ValueError(f"The judges know {ask.dataset!r} (--dataset), and the preset was trained on {trained_on!r}")
    sampling = presets.with_sampling(settings, w=ask.w, sampler=ask.sampler, steps=ask.steps).sampling
    config.choose(samplers.SAMPLERS, sampling.sampler, "sampler")
    config.choose(guidance.THRESHOLDS, sampling.threshold, "threshold")
    samplers.trailing_times(settings.diffusion.T, sampling.steps)
    seeds = [ask.seed, ask.seed + (ask.n or DEFAULT_N)]
    check_request(0, None, seeds, num_classes=num_classes, own=sampling.w)
    return sampling


def _clip_name(name):
    """An evaluator's full name."""
    if name not in ("digit", DIGIT_CLIP, *PRESETS):
        raise ValueError(f"`clip` must be one of {['digit', *PRESETS]}. Received: {name!r}")
    return DIGIT_CLIP if name == "digit" else name


def _evaluator(name, test):
    try:
        return load_evaluator(name, images=test[0][:500], labels=test[1][:500])
    except RuntimeError as error:  # the weights cannot be had, and the message says what to do
        raise OSError(str(error)) from error


def _real(dataset):
    """Real test images and training images, each (images, labels)."""
    splits = [data.load(dataset, split)[:2] for split in ("test", "train")]
    for images, labels in splits:
        check_images(images, name="dataset")
        check_labels(labels, images, name="dataset's labels")
    return splits


def _from_file(ask, available):
    """Images and labels of a file; a random part of them if there are more than asked for or more than real ones."""
    if not zipfile.is_zipfile(ask.images):
        raise ValueError(f"{str(ask.images)!r} is no .npz file")
    try:
        images, labels = read_pairs(ask.images)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{str(ask.images)!r} is damaged: {error}") from error
    check_images(images)
    check_labels(labels, images)
    if ask.n and ask.n > len(images):
        raise ValueError(f"`n` must be at most {len(images)}, the images in the file. Received: {ask.n}")
    count = ask.n or min(len(images), available)
    kept = np.sort(np.random.default_rng(ask.seed).permutation(len(images))[:count])
    return images[kept], labels[kept]


def draw(job, seed, *, progress):
    """Draw the images, and the frames and traces of the process if they are asked for.

    Args:
        job: `Job`.
        seed: Of the first image.
        progress: Called with the number of images drawn.

    Returns:
        uint8 (n, 28, 28, 1), and the dict `process` of `report.measure`.
    """
    if job.sampling is None:
        return job.images, None
    n, steps, T = len(job.labels), len(job.generator.times), job.generator.diffusion.T
    w = w_of_class(job.sampling.w, job.generator.network.num_classes)[job.labels]
    wanted = [job.labels, w, seed + np.arange(n)]
    traced = process.count_images(n, steps) if {"recognition", "health"} & set(job.groups) else 0
    parts, found = [], {}
    if traced:
        recording = process.recorder(job.generator, job.sampling)
        path = recording.sample(*(array[:traced] for array in wanted), progress=progress)
        parts.append(data.to_uint8(path["image"]))
        found = process.frames(path, job.labels[:traced], times=recording.times, T=T)
        few = slice(process.MOST_IMAGES)
        found["forward"] = process.noised(job.test[0][few], job.test[1][few], job.generator.diffusion, seed=seed)
        found |= process.traces(recording, job.sampling, *(array[:traced] for array in wanted))
    if traced < n:
        rest = job.generator.sample(*(array[traced:] for array in wanted), progress=progress)
        parts.append(data.to_uint8(rest["image"]))
    return np.concatenate(parts), found


def facts(ask, job):
    """What a reader needs in order to have the figures again.

    Args:
        ask: `evaluate.Evaluate`.
        job: `Job`.

    Returns:
        Dict of texts; `rows` is one more.
    """
    n, sampling = len(job.labels), job.sampling
    how = f"; {sampling.sampler}, {sampling.steps} steps, w = {in_words(sampling.w)}" if sampling else ""
    judges = [f"Classifier: {_classifier()}."]
    if job.evaluator:
        judges.append(f"CLIP: {job.evaluator.name}{', not OpenAI’s' if job.evaluator.name == DIGIT_CLIP else ''}.")
    rows = {
        "digits": "as in the real test images beside" if sampling else "as in the file",
        "seeds": f"{ask.seed} to {ask.seed + n - 1}" if sampling else f"{ask.seed}, for the choice of images",
        "real images": f"{ask.dataset}: the first {n} of the test split; compared with the first {n} of the training "
        f"split and, for copies, with all {len(job.training[0])}",
        "judges": " ".join(judges),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(f"{name} {version}" for name, version in presets.versions().items()),
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    return {
        "title": f"{job.source[0].upper()}{job.source[1:]}",
        "lead": f"{n} images beside {n} real test images{how}.",
        "judges": " ".join(judges),
        "clip": CLIP_NOTES[job.evaluator.name == DIGIT_CLIP] if job.evaluator else "",
        "command": _command(ask),
        "rows": rows,
    }


def _command(ask):
    """The command line that asks for the same again."""
    words = ["python -m keras_ddpm evaluate"]
    for field in dataclasses.fields(ask):
        value, flag = getattr(ask, field.name), "run" if field.name == "run_folder" else field.name
        if value != field.default:
            words.append(f"--{flag}" if value is True else f"--{flag} {value}")
    return " ".join(words)


def _classifier():
    facts = json.loads(SHIPPED.with_name("classifier.json").read_text())
    return f"{facts['arch']}, shipped, {100 * facts['test_accuracy']:.2f} % of the MNIST test images right"


def _processor():
    """The processor's name, where the system tells."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _check_out(folder):
    """Fail early if the folder cannot be made or written to; make it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"Cannot write into {str(folder)!r}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"Cannot write into {str(folder)!r}")
