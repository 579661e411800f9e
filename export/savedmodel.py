"""Writing a SavedModel: the next numbered version, complete and verified, or not at all.

    models/ddpm/1/saved_model.pb, variables/,
                  assets.extra/tf_serving_warmup_requests, metadata.json, manifest.json

It is written under a hidden name, which no server looks at, loaded and compared with Python, and renamed.
"""

import os
import pathlib
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from keras_ddpm import presets
from keras_ddpm.saving import files

from . import manifest, metadata, signatures, verify, versions, warmup


def export(
    preset: str | os.PathLike,
    out: str | os.PathLike,
    *,
    sampling: dict | None = None,
    every: int = 5,
    xla: bool = False,
    if_changed: bool = False,
    notify: Callable[[str], object] = lambda words: None,
) -> pathlib.Path:
    """Export a preset's sampler.

    Args:
        preset: Name of a shipped preset, or a folder written by train.py.
        out: Folder of the model; the version becomes a folder in it.
        sampling: Fields of `SamplingConfig` that replace the preset's own; None leaves them.
        every: The trajectory keeps every k-th state, k >= 1.
        xla: Compile the sampling loop with XLA. A server must then be started with XLA on.
        if_changed: Write nothing if the highest version is undamaged and has the same weights and settings already.
        notify: Called with a few words before each stage.

    Returns:
        pathlib.Path of the version.

    Raises:
        ValueError: for an unknown preset or sampler, wrong steps, `every` or w, if there is no higher version, or if
            what was written does not draw what `keras_ddpm.sample` draws.
        OSError: if the folder cannot be written.
    """
    own = presets.read_config(preset)[0]
    config = presets.with_sampling(own, **(sampling or {}))
    w = config.sampling.w
    if every < 1 or np.ndim(w) or not np.isfinite(w):
        raise ValueError(f"`every` must be at least 1 and `w` finite, one for all classes. Received: {every}, {w}")
    if config.sampling.weak != own.sampling.weak:
        raise ValueError(f"`weak` must be the preset's own, in its config.json. Received: {config.sampling.weak!r}")
    if config.sampling.guide is not None:
        raise ValueError(
            f"`guide` must be None: what is exported has no gradients. Received: {config.sampling.guide!r}"
        )
    found, out = metadata.collect(config, preset, every=every, xla=xla), pathlib.Path(out)
    newest = versions.newest(out) if if_changed else None
    if newest and metadata.read(newest) == found and manifest.is_intact(newest):
        return newest
    versions.next_number(out)
    notify(f"loading {preset}")
    loaded = presets.load_preset(preset, **(sampling or {}))
    functions = signatures.build(loaded, metadata=found)
    files.check_folder(out)
    versions.sweep(out)
    with files.partial_folder(out) as partial:
        notify("writing the graph")
        write(loaded.models, functions, partial)
        metadata.write(partial, found)
        warmup.write(partial, found)
        verify.verify(partial, preset=preset, notify=notify)
        manifest.write(partial)
        return versions.publish(partial, out)


def write(models: Iterable[keras.Model], functions: dict, folder: pathlib.Path) -> None:
    """Write the SavedModel itself, with the weights of its models; the first function is also `serving_default`."""
    archive = keras.export.ExportArchive()
    for model in models:
        archive.track(model)
    for name, (function, specs) in functions.items():
        archive.add_endpoint(name, function, specs)
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:  # the disk is full
        raise OSError(f"Cannot write to {str(folder)!r}: {error.message}") from error
