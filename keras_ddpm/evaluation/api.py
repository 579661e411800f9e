"""`evaluate`: from whatever draws digits to a report, with every check before any work.

source -> Source (checked) -> data, judges, one generator -> images drawn once -> figures -> Report
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import data
from keras_ddpm.evaluation import provenance, totals
from keras_ddpm.evaluation.arrays import NUM_CLASSES, check_images, check_labels
from keras_ddpm.evaluation.drawing import Drawn, draw
from keras_ddpm.evaluation.groups import PROCESS, check_counts, check_digits, choose_groups
from keras_ddpm.evaluation.judges import digit_clip
from keras_ddpm.evaluation.judges.openai_clip import PRESETS, load_evaluator
from keras_ddpm.evaluation.measure import measure
from keras_ddpm.evaluation.metrics import Pair
from keras_ddpm.evaluation.metrics.cas import STEPS
from keras_ddpm.evaluation.report import Report
from keras_ddpm.evaluation.sources import find_source
from keras_ddpm.sampling_request import w_of_class

Progress = Callable[[str, int, int], Any]


def evaluate(
    source,
    *,
    n: int | None = None,
    w=None,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    only: str | None = None,
    cas: bool = False,
    clip: str = "digit",
    dataset: str = "mnist",
    progress: Progress | None = None,
) -> Report:
    """Measures generated digits, and beside them as many real test images.

    Args:
        source: Name of a shipped preset, folder of a run, `Generator`, path of an `.npz` file with `images` and
            `labels`, `(images, labels)`: uint8 (N, 28, 28, 1) and int (N,), or the folder of a data set in shards,
            as `synthesize` writes it.
        n: Images to measure, at most the number of real test images. Default: 1000 drawn ones, or all given ones.
            Of a data set in shards, all images count for accuracy, pixels and one of the Fréchet distances; n is the
            sample for all other figures.
        w: Guidance, one number or ten. Default: the preset's own; a `Generator` needs it.
        sampler, steps: For a preset or a run. Default: its own.
        seed: Seed of the first image; the others follow. If more than n images are given: seed of the choice.
        only: Comma-separated groups: accuracy, fid, prdc, diversity, memorisation, pixels, clip, recognition, health.
            Default: all that the source allows.
        cas: Whether to add the classification accuracy score, which trains two classifiers and takes minutes.
        clip: "digit", our own small CLIP, or a preset of OpenAI's: "clip-vit-base-patch32" and siblings.
        dataset: The real digits: TFDS name, or path of an `.npz` file.
        progress: Called as `progress(stage, done, total)`, with images while "sampling" or "reading", and stages
            after that.

    Returns:
        `Report`.

    Raises:
        ValueError: for arguments that do not fit together or are out of range, before any work.
        OSError: for files, data or weights that do not exist.

    Example:
        >>> report = keras_ddpm.evaluate("mnist", n=200, only="accuracy,fid")
        >>> print(report.table())
        >>> report.save("report")
    """
    start, dataset = time.perf_counter(), str(dataset)
    settings = {"n": n, "w": w, "sampler": sampler, "steps": steps, "seed": seed}
    settings |= {"only": only, "cas": cas, "clip": clip, "dataset": dataset}
    found, groups, real, training, images, labels = _checked(source, settings)
    generator = found.build() if found.build else None
    evaluator = _evaluator(_clip_name(clip), real) if "clip" in groups else None
    ready = time.perf_counter()
    if found.data_set is not None:
        everything, images, labels = _read(found.data_set, found.count(n, most=len(real[0])), seed, progress)
    test = tuple(array[: len(labels)] for array in real)
    followed = test if set(PROCESS) & set(groups) else None
    drawn = Drawn(images, {}, None)
    if generator is not None:
        drawn = _draw(generator, labels, found.w, seed, followed, progress)
    seconds = {"start": round(ready - start, 2), "sampling": round(time.perf_counter() - ready, 2)}
    content, pictures = measure(
        drawn.images,
        labels,
        test=test,
        training=training,
        groups=groups,
        evaluator=evaluator,
        frames=drawn.frames,
        traces=drawn.traces,
        cas_steps=STEPS * cas,
        notify=_stages(progress, len(groups) + cas + 1),
    )
    content["seconds"] = seconds | content["seconds"]
    if found.data_set is not None:
        beside = content["figures"]
        content["figures"] |= totals.figures(everything, groups, test=real, training=training, beside=beside)
        if "accuracy" in groups:
            content["confusion"] = everything.confusion.tolist()
    counts, name = {"n": len(labels), "training": len(training[0])}, evaluator.name if evaluator else None
    content["facts"] = provenance.describe(found, **counts, evaluator=name, settings=settings)
    return Report(content, pictures)


def _checked(source, settings):
    """The source, the groups, real test and training images, and what to measure, once all arguments fit together.

    Images in shards are not read here: of their labels there are two of each digit, as the manifest tells.
    """
    n, seed, dataset = settings["n"], settings["seed"], settings["dataset"]
    if n is not None and n < 1:
        raise ValueError(f"`n` must be at least 1. Received: {n}")
    _clip_name(settings["clip"])
    sampling = {name: settings[name] for name in ("w", "sampler", "steps")}
    found = find_source(source, **sampling, seed=seed, n=n, dataset=dataset)
    groups = choose_groups(settings["only"], arrays_only=found.build is None)
    test, training = _real(dataset)
    count = found.count(n, most=len(test[0]))
    check_counts(count, groups, available=min(len(test[0]), len(training[0])), cas=settings["cas"])
    if found.data_set is not None:
        images, labels = None, np.repeat(np.arange(NUM_CLASSES), np.minimum(found.data_set.label_counts, 2))
    else:
        images, labels = (None, test[1][:count]) if found.build else found.select(n, most=len(test[0]), seed=seed)
    check_digits(labels, groups)
    return found, groups, test, training, images, labels


def _clip_name(name):
    """An evaluator's full name."""
    if name not in ("digit", digit_clip.NAME, *PRESETS):
        raise ValueError(f"`clip` must be one of {['digit', *PRESETS]}. Received: {name!r}")
    return digit_clip.NAME if name == "digit" else name


def _real(dataset) -> tuple[Pair, Pair]:
    """Real test images and training images, each (images, labels)."""
    test, training = (data.load(dataset, split)[:2] for split in ("test", "train"))
    for images, labels in (test, training):
        check_images(images, name="dataset")
        check_labels(labels, images, name="dataset's labels")
    return test, training


def _evaluator(name, test):
    try:
        return load_evaluator(name, images=test[0][:500], labels=test[1][:500])
    except RuntimeError as error:  # the weights cannot be loaded, and the message says what to do
        raise OSError(str(error)) from error


def _draw(generator, labels, w, seed, real, progress):
    """What `draw` returns; `progress` is told how many images there are so far."""
    w = w_of_class(w, NUM_CLASSES)[labels]
    return draw(generator, labels, w, seed=seed, real=real, progress=_counted(progress, "sampling", len(labels)))


def _read(data_set, sample, seed, progress):
    """What `totals.read` returns; `progress` is told how many images there are so far."""
    advance = _counted(progress, "reading", len(data_set))
    return totals.read(data_set.batches(), len(data_set), sample=sample, seed=seed, advance=advance)


def _counted(progress, stage, total):
    """A function of the number of new images, which tells `progress` how many there are so far."""
    if progress is None:
        return None
    done = 0

    def advance(count):
        nonlocal done
        done += count
        progress(stage, done, total)

    return advance


def _stages(progress, total):
    """Announces the stages of `measure`, counted."""
    if progress is None:
        return None
    done = iter(range(1, total + 1))
    return lambda stage: progress(stage, next(done), total)
