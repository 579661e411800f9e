"""`evaluate`: from whatever draws images to a report, with every check before any work.

source -> Source (checked) -> data, judges, one generator -> images drawn once -> figures -> Report
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import data
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.evaluation import provenance, totals
from keras_ddpm.evaluation.arrays import DIGITS, check_images, check_labels
from keras_ddpm.evaluation.drawing import Drawn, draw
from keras_ddpm.evaluation.groups import PROCESS, check_counts, check_digits, choose_groups
from keras_ddpm.evaluation.judges import digit_clip
from keras_ddpm.evaluation.judges import folder as judge_folder
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.judges.openai_clip import PRESETS, load_evaluator
from keras_ddpm.evaluation.measure import measure
from keras_ddpm.evaluation.metrics import Pair
from keras_ddpm.evaluation.metrics.cas import STEPS
from keras_ddpm.evaluation.report import Report
from keras_ddpm.evaluation.sources import find_source

Progress = Callable[[str, int, int], Any]


def evaluate(
    source,
    *,
    n: int | None = None,
    w=None,
    sampler: str | None = None,
    steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    only: str | None = None,
    cas: bool = False,
    clip: str = "digit",
    dataset: str | None = None,
    judge: str | pathlib.Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measures generated images, and beside them as many real test images.

    Args:
        source: Name of a shipped preset, folder of a run, `Generator`, path of an `.npz` file with `images` and
            `labels`, `(images, labels)`: uint8 (N, H, W, C) and int (N,), or the folder of a data set in shards, as
            `synthesize` writes it.
        n: Images to measure. Default: 1000 drawn ones or all given ones, at most as many as there are real test images.
            Of a data set in shards, all images count for accuracy, pixels and one of the Fréchet distances; n is the
            sample for all other figures.
        w: Guidance, one number or one for each class. Default: the preset's own; a `Generator` needs it.
        sampler, steps, temperature: For a preset or a run. Default: its own.
        seed: Seed of the first image; the others follow. If more than n images are given: seed of the choice.
        only: Comma-separated groups: accuracy, fid, prdc, diversity, memorisation, pixels, clip, recognition, health.
            Default: all that the source and the judge allow. CLIP knows MNIST only.
        cas: Whether to add the classification accuracy score, which trains two classifiers and takes minutes.
        clip: "digit", our own small CLIP, or a preset of OpenAI's: "clip-vit-base-patch32" and siblings.
        dataset: The real images: name of a data set, or path of an `.npz` file. Default: what the judge was trained on.
        judge: Folder of a judge that knows the data set, written by `python -m keras_ddpm judge`. Default: the shipped
            one, which knows MNIST.
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
        >>> keras_ddpm.evaluate("runs/colour_mnist", judge="judges/colour_mnist")
    """
    start = time.perf_counter()
    settings = {"n": n, "w": w, "sampler": sampler, "steps": steps, "temperature": temperature, "seed": seed}
    settings |= {"only": only, "cas": cas, "clip": clip}
    settings |= {"dataset": dataset and str(dataset), "judge": judge and str(judge)}
    found, groups, real, training, images, labels = _checked(source, settings)
    classifier = load_classifier(judge or SHIPPED)
    generator = found.build() if found.build else None
    evaluator = _evaluator(_clip_name(clip), real) if "clip" in groups else None
    ready = time.perf_counter()
    if found.data_set is not None:
        sample = found.count(n, most=len(real[0]))
        everything, images, labels = _read(found.data_set, sample, seed, progress, judge=classifier)
    test = tuple(array[: len(labels)] for array in real)
    followed = test if set(PROCESS) & set(groups) else None
    drawn = Drawn(images, {}, None)
    if generator is not None:
        w_of_label = w_of_class(found.w, classifier.kind.num_classes)[labels]
        drawn = _draw(generator, labels, w_of_label, seed, followed, progress)
    seconds = {"start": round(ready - start, 2), "sampling": round(time.perf_counter() - ready, 2)}
    content, pictures = measure(
        drawn.images,
        labels,
        test=test,
        training=training,
        groups=groups,
        judge=classifier,
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
    used: dict[str, Any] = {"judge": classifier.notes, "evaluator": evaluator.name if evaluator else None}
    used |= {"n": len(labels), "training": len(training[0])}
    content["facts"] = provenance.describe(found, **used, settings=settings)
    return Report(content, pictures)


def _checked(source, settings):
    """The source, the groups, real test and training images, and what to measure, once all arguments fit together.

    Images in shards are not read here: of their labels there are two of each class, as the manifest tells.
    """
    n, seed = settings["n"], settings["seed"]
    if n is not None and n < 1:
        raise ValueError(f"`n` must be at least 1. Received: {n}")
    _clip_name(settings["clip"])
    sampling = {name: settings[name] for name in ("w", "sampler", "steps", "temperature")}
    notes = judge_folder.read_notes(settings["judge"] or SHIPPED)
    kind, dataset = judge_folder.kind_of(notes), settings["dataset"] or notes["dataset"]
    found = find_source(source, **sampling, seed=seed, n=n, dataset=dataset, kind=kind)
    mnist = settings["judge"] is None or (notes["dataset"] == "mnist" and kind == DIGITS)
    groups = choose_groups(settings["only"], arrays_only=found.build is None, mnist=mnist)
    test, training = _real(dataset, notes, shipped=settings["judge"] is None)
    count = found.count(n, most=len(test[0]))
    check_counts(count, groups, available=min(len(test[0]), len(training[0])), cas=settings["cas"])
    if found.data_set is not None:
        images, labels = None, np.repeat(np.arange(kind.num_classes), np.minimum(found.data_set.label_counts, 2))
    else:
        images, labels = (None, test[1][:count]) if found.build else found.select(n, most=len(test[0]), seed=seed)
    check_digits(labels, groups)
    return found, groups, test, training, images, labels


def _clip_name(name):
    """An evaluator's full name."""
    if name not in ("digit", digit_clip.NAME, *PRESETS):
        raise ValueError(f"`clip` must be one of {['digit', *PRESETS]}. Received: {name!r}")
    return digit_clip.NAME if name == "digit" else name


def _real(dataset, notes, *, shipped: bool) -> tuple[Pair, Pair]:
    """Real test images and training images, each (images, labels), which the judge knows."""
    size = notes.get("image_size", 0)
    test, training = (data.load(dataset, split, image_size=size) for split in ("test", "train"))
    kind = judge_folder.kind_of(notes)
    for images, labels, _ in (test, training):
        check_images(images, name="dataset", kind=kind)
        check_labels(labels, images, name="dataset's labels", kind=kind)
    judge_folder.check_data(notes, dataset, training, shipped=shipped)
    return test[:2], training[:2]


def _evaluator(name, test):
    try:
        return load_evaluator(name, images=test[0][:500], labels=test[1][:500])
    except RuntimeError as error:  # the weights cannot be loaded, and the message says what to do
        raise OSError(str(error)) from error


def _draw(generator, labels, w, seed, real, progress):
    """What `draw` returns; `progress` is told how many images there are so far."""
    return draw(generator, labels, w, seed=seed, real=real, progress=_counted(progress, "sampling", len(labels)))


def _read(data_set, sample, seed, progress, *, judge):
    """What `totals.read` returns; `progress` is told how many images there are so far."""
    advance = _counted(progress, "reading", len(data_set))
    return totals.read(data_set.batches(), len(data_set), sample=sample, seed=seed, judge=judge, advance=advance)


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
