"""Writing a SavedModel: the next numbered version, complete and verified, or not at all.

    models/ddpm/1/saved_model.pb, variables/, assets.extra/tf_serving_warmup_requests, assets.extra/metadata.json

It is written under a hidden name, which no server looks at, loaded and compared with Python, and renamed.
"""

import pathlib
import shutil
import tempfile

import keras
import numpy as np

from export import facts, signatures, verify, versions, warmup
from keras_ddpm import presets


def export(preset, out, *, sampling=None, every=5, xla=False, if_changed=False):
    """Export a preset's sampler.

    Args:
        preset: Name of a shipped preset, or a folder written by train.py.
        out: Folder of the model; the version becomes a folder in it.
        sampling: Fields of `SamplingConfig` that replace the preset's own; None leaves them.
        every: The trajectory keeps every k-th state, k >= 1.
        xla: Compile the sampling loop with XLA. A server must then be started with XLA on.
        if_changed: Write nothing if the highest version has the same weights and settings already.

    Returns:
        pathlib.Path of the version.

    Raises:
        ValueError: for an unknown preset or sampler, wrong steps, `every` or w, or if what was written does not draw
            what `keras_ddpm.sample` draws.
        OSError: if the folder cannot be written.
    """
    config = presets.with_sampling(presets.read_config(preset)[0], **(sampling or {}))
    w = config.sampling.w
    if every < 1 or np.ndim(w) or not np.isfinite(w):
        raise ValueError(f"`every` must be at least 1 and `w` finite, one for all classes. Received: {every}, {w}")
    found, out = facts.collect(config, preset, every=every, xla=xla), pathlib.Path(out)
    if if_changed and out.is_dir() and (newest := versions.newest(out)) and facts.read(newest) == found:
        return newest
    loaded = presets.load_preset(preset, **(sampling or {}))
    functions = signatures.build(loaded.network, loaded.diffusion, config.sampling, metadata=found)
    out.mkdir(parents=True, exist_ok=True)
    versions.sweep(out)
    partial = pathlib.Path(tempfile.mkdtemp(prefix=versions.PARTIAL, dir=out))
    try:
        write(loaded.network, functions, partial)
        facts.write(partial, found)
        warmup.write(partial, found)
        verify.verify(partial, preset=preset)
        return versions.publish(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write(network, functions, folder):
    """Write the SavedModel itself; the first function is also `serving_default`."""
    archive = keras.export.ExportArchive()
    archive.track(network)
    for name, (function, specs) in functions.items():
        archive.add_endpoint(name, function, specs)
    archive.write_out(str(folder), verbose=False)
