"""Writing a SavedModel: the next numbered version, complete or not at all.

    models/ddpm/1/saved_model.pb, variables/, assets.extra/tf_serving_warmup_requests

It is written under a hidden name, which no server looks at, and renamed.
"""

import dataclasses
import hashlib
import math
import pathlib
import shutil
import tempfile

import keras

from export import signatures, warmup
from keras_ddpm import presets
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.weights import read_weights


def export(preset, out, *, sampling=None, every=5, xla=False):
    """Export a preset's sampler.

    Args:
        preset: Name of a shipped preset, or a folder written by train.py.
        out: Folder of the model; the version becomes a folder in it.
        sampling: Fields of `SamplingConfig` that replace the preset's own; None leaves them.
        every: The trajectory keeps every k-th state, k >= 1.
        xla: Compile the sampling loop with XLA. A server must then be started with XLA on.

    Returns:
        pathlib.Path of the version.

    Raises:
        ValueError: for an unknown preset or sampler, wrong steps or `every`.
        OSError: if the folder cannot be written.
    """
    config, network, facts = load(preset, sampling)
    if every < 1 or not math.isfinite(config.sampling.w):
        raise ValueError(f"`every` must be at least 1 and `w` finite. Received: {every}, {config.sampling.w}")
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    facts |= {"every": every, "xla": xla}
    functions = signatures.build(network, diffusion, config.sampling, metadata=facts)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    try:
        write(network, functions, partial)
        warmup.write(partial, facts)
        return _publish(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(preset, sampling=None):
    """A preset's configuration with some sampling fields replaced, its network, and the facts of the metadata."""
    config, image_shape, num_classes = presets.read_config(preset)
    replaced = {name: value for name, value in (sampling or {}).items() if value is not None}
    config = dataclasses.replace(config, sampling=dataclasses.replace(config.sampling, **replaced))
    network = presets.build_network(config, image_shape, num_classes, dtype="float32")
    read_weights(network, presets.find(preset) / presets.WEIGHTS)
    facts = {
        "name": config.name,
        "weights_sha256": fingerprint(preset),
        "image_shape": list(image_shape),
        "num_classes": num_classes,
        "T": config.diffusion.T,
        **dataclasses.asdict(config.sampling),
        "max_batch": signatures.MAX_BATCH,
        "allowed_batch_sizes": list(signatures.ALLOWED_BATCH_SIZES),
        "versions": presets.versions(),
    }
    return config, network, facts


def fingerprint(preset):
    """SHA-256 of a preset's weights file: which weights an export holds."""
    return hashlib.sha256((presets.find(preset) / presets.WEIGHTS).read_bytes()).hexdigest()


def write(network, functions, folder):
    """Write the SavedModel itself; the first function is also `serving_default`."""
    archive = keras.export.ExportArchive()
    archive.track(network)
    for name, (function, specs) in functions.items():
        archive.add_endpoint(name, function, specs)
    archive.write_out(str(folder), verbose=False)


def _publish(partial, out):
    """Rename to the next free number; if another export takes it first, to the one after."""
    partial.chmod(0o755)  # a temporary folder is its owner's alone; a server is often another user
    while True:
        taken = [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
        version = out / str(max(taken, default=0) + 1)
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():
                raise
