"""`synthesize`: every check before any work, then the pipeline, then one sentence if something is missing."""

import importlib.util
import logging
import math
import operator
import pathlib
from collections.abc import Sequence
from typing import Any

import keras_ddpm
from keras_ddpm import data, presets, samplers
from keras_ddpm.checks.sampling import MAX_SEED, w_of_class
from keras_ddpm.config import choose
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.shards import manifest
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import Bucket, Folder, open_folder
from keras_ddpm.synthesis import filters
from keras_ddpm.synthesis.plan import ADDED, MOST, MOST_SHARDS, Plan, check_proportions

MOST_ROWS = 256  # of a batch, as in the generator


def synthesize(
    n: int,
    out: str | pathlib.Path,
    *,
    preset: Any = presets.DEFAULT,
    format: str = "tfrecord",
    shard_size: int = 10_000,
    proportions: Sequence[float] | None = None,
    w: Any = None,
    sampler: str | None = None,
    steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    batch: int = 250,
    runtime: str | None = None,
    min_confidence: float | None = None,
    judge: str | pathlib.Path | None = None,
    min_distance: float | None = None,
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw a labelled data set in shards, or finish one that was begun.

    Shards that are there are verified, and all others written: call it again with the same arguments after whatever
    went wrong. On one kind of machine the files are the same bytes, however many workers write them.

    Args:
        n: Images to draw, at most 2^31; filters remove some.
        out: An empty or new folder, or one of this data set; or a bucket's URL, such as "gs://bucket/digits".
        preset: Name of a shipped preset, or a folder written by train.py.
        format: "tfrecord", "parquet", "png" or "npz".
        shard_size: Images drawn for one shard.
        proportions: Share of each class; None for equal ones.
        w: Guidance, one for all classes or one for each; None: the preset's own.
        sampler, steps, temperature: None: the preset's own.
        seed: Of the first image; the others follow.
        batch: Images of one call of the generator, 1 ... 256. Part of what the bytes depend on.
        runtime: None for Keras, or "litert", "onnx", "openvino"; see `sample`.
        min_confidence: Keep images whose class has at least this probability, in (0, 1].
        judge: Folder of the judge that says so, written by `keras-ddpm judge`; None: the shipped one, for MNIST.
        min_distance: Keep images at least this far, root mean square in (0, 1], from every training image.
        beam_options: Apache Beam's own, such as ["--runner=DataflowRunner", "--project=..."].

    Returns:
        The manifest, a dict with `images`, `labels`, `removed`, `bytes`, `settings` and `shards`, and with `done`: how
        many shards were "written", "verified" and "repaired".

    Raises:
        ValueError: before any work, for an argument that cannot be used, or a folder that holds something else.
        OSError: if the folder cannot be written to; or some shards could not be, which the next call will write.

    Example:
        >>> synthesize(1_000_000, "digits", preset="mnist_fast")["images"]
        1000000
    """
    made = plan(
        preset,
        n=n,
        format=format,
        shard_size=shard_size,
        proportions=proportions,
        w=w,
        sampler=sampler,
        steps=steps,
        temperature=temperature,
        seed=seed,
        batch=batch,
        runtime=runtime,
        min_confidence=min_confidence,
        judge=judge,
        min_distance=min_distance,
    )
    folder, steps_of = open_folder(str(out)), _beam()
    folder.check()
    before = _check_empty(folder, made)
    description = {"settings": made.settings(), "made_with": before["made_with"] if before else _versions()}
    pipeline = steps_of.build(made, str(out), description=description, options=beam_options)
    if before is None:
        manifest.write(folder, {"complete": False, **description})
    done = steps_of.run(pipeline)
    return {**_finished(folder, made), "done": done}


def plan(
    preset: Any,
    *,
    n: int,
    format: str,
    shard_size: int,
    proportions: Any,
    w: Any,
    sampler: str | None,
    steps: int | None,
    temperature: float | None,
    seed: int,
    batch: int,
    runtime: str | None,
    min_confidence: float | None,
    judge: Any,
    min_distance: float | None,
) -> Plan:
    """The plan of these arguments of `synthesize`, checked.

    Raises:
        ValueError, FileNotFoundError: see `synthesize`.
    """
    _check_sizes(n, shard_size, batch, seed)
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {sorted(FORMATS)}. Received: {format!r}")
    config, image_shape, num_classes = presets.read_config(preset)
    given = {"sampler": sampler, "steps": steps, "temperature": temperature}
    sampling = presets.with_sampling(config, w=w, **given).sampling
    schedule = Diffusion.from_names(**vars(config.diffusion)).schedule
    samplers.times_of(choose(samplers.SAMPLERS, sampling.sampler, "sampler"), sampling.steps, schedule)
    _check_filters(min_confidence, judge, min_distance)
    chosen_by = None
    if min_confidence is not None:
        chosen_by = filters.weights_of(judge, Kind(tuple(image_shape), num_classes))
    if not presets.weights_file(preset).is_file():
        raise FileNotFoundError(f"There are no weights yet: {str(presets.weights_file(preset))!r}")
    if min_distance is not None:
        data.load(config.data.dataset, "train")
    if runtime is not None:
        from keras_ddpm import runtimes

        runtimes.load(preset, runtime, **given)
    return Plan(
        n=n,
        shard_size=shard_size,
        format=format,
        preset=str(presets.find(preset).resolve()) if isinstance(preset, pathlib.Path) else preset,
        name=config.name,
        weights=presets.fingerprint(preset),
        image_shape=tuple(image_shape),
        proportions=check_proportions(proportions, num_classes),
        w=tuple(w_of_class(sampling.w, num_classes).tolist()),
        sampler=sampling.sampler,
        steps=sampling.steps,
        temperature=sampling.temperature,
        seed=seed,
        batch=batch,
        runtime=runtime,
        min_confidence=min_confidence,
        judge=None if judge is None else str(judge),
        judge_weights=chosen_by,
        min_distance=min_distance,
        dataset=config.data.dataset,
    )


def _beam():
    """The module of the pipeline. Beam warns at once of packages for clouds that nobody asked for."""
    if importlib.util.find_spec("apache_beam") is None:
        raise ValueError("synthesize needs Apache Beam: pip install 'keras_ddpm[synthesize]'")
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from keras_ddpm.synthesis import pipeline
    finally:
        logger.setLevel(level)
    return pipeline


def _check_sizes(n, shard_size, batch, seed):
    for name, value, most in (("n", n, MOST), ("shard_size", shard_size, MOST), ("batch", batch, MOST_ROWS)):
        try:
            fits = 1 <= operator.index(value) <= most
        except TypeError:
            fits = False
        if not fits:
            raise ValueError(f"`{name}` must be an integer in 1..{most}. Received: {value!r:.60}")
    if -(-n // shard_size) > MOST_SHARDS:
        raise ValueError(
            f"`shard_size` must be at least {-(-n // MOST_SHARDS)}, for at most {MOST_SHARDS:,} shards. "
            f"Received: {shard_size}"
        )
    if not (isinstance(seed, int) and 0 <= seed <= MAX_SEED - n):
        raise ValueError(f"`seed` must be an integer in 0..2^63 - 1 - n. Received: {seed!r:.60}")


def _check_filters(min_confidence, judge, min_distance):
    for name, value in (("min_confidence", min_confidence), ("min_distance", min_distance)):
        if value is not None and not (math.isfinite(value) and 0 < value <= 1):
            raise ValueError(f"`{name}` must be in (0, 1]. Received: {value}")
    if judge is not None and min_confidence is None:
        raise ValueError(f"`judge` does nothing without `min_confidence`. Received: {str(judge)!r}")


def _check_empty(folder: Folder | Bucket, made: Plan) -> dict[str, Any] | None:
    """The manifest of the same data set, or None for an empty folder.

    Raises:
        ValueError: if there is something else in it.
    """
    before = manifest.read(folder)
    if before is None:
        names = [name for name in folder.names() if not name.startswith(".")]
        if names:
            raise ValueError(
                f"`out` must be empty, or hold this data set. Received: {str(folder)!r} with {', '.join(names[:3])}"
            )
        return None
    settings = made.settings()
    other = [name for name in settings if before["settings"].get(name, ADDED.get(name)) != settings[name]]
    if other:
        held = ", ".join(f"{name} = {before['settings'].get(name)!r:.60}" for name in other[:3])
        raise ValueError(f"{str(folder)!r} holds another data set, of {held}. Choose another `out`")
    return before


def _finished(folder: Folder | Bucket, made: Plan) -> dict[str, Any]:
    """The manifest of a finished data set.

    Raises:
        OSError: if shards are missing.
    """
    found = manifest.read(folder) or {"complete": False}
    if found["complete"]:
        return found
    failed = found.get("failed", [])
    reason = f", the first because: {failed[0]['reason']}" if failed else ""
    raise OSError(
        f"{len(failed) or 'Some'} of {made.shards} shards could not be written{reason}. The same command writes them."
    )


def _versions():
    return {"keras_ddpm": keras_ddpm.__version__, **presets.versions()}
