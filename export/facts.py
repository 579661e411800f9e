"""What a SavedModel says of itself: the answer of its `metadata` signature, also as a file beside the graph."""

import dataclasses
import json
import pathlib

import numpy as np

from export.signatures import ALLOWED_BATCH_SIZES, MAX_BATCH
from keras_ddpm import presets

PLACE = "assets.extra/metadata.json"


def collect(config, preset, *, every, xla):
    """The facts of an export.

    Args:
        config: `Config`, with the sampling that is exported.
        preset: Name or folder of the preset whose weights are exported.
        every: The k of the trajectory.
        xla: Whether the loop is compiled with XLA.

    Returns:
        dict, as JSON has it.
    """
    _, image_shape, num_classes = presets.read_config(preset)
    facts = {
        "name": config.name,
        "weights_sha256": presets.fingerprint(preset),
        "image_shape": image_shape,
        "num_classes": num_classes,
        "T": config.diffusion.T,
        **dataclasses.asdict(config.sampling),
        "every": every,
        "max_batch": MAX_BATCH,
        "allowed_batch_sizes": ALLOWED_BATCH_SIZES,
        "xla": xla,
        "versions": presets.versions(),
    }
    return json.loads(json.dumps(facts))


def ask(servable):
    """What a loaded model answers: the dict of `collect`."""
    return json.loads(servable.run("metadata", {"digit": np.zeros(1, "int32")})["metadata"][0])


def write(folder, facts):
    """Write the facts into a version's folder."""
    path = pathlib.Path(folder) / PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n")


def read(folder):
    """The facts of a version's folder, without loading the model; None if it has none that can be read."""
    try:
        return json.loads((pathlib.Path(folder) / PLACE).read_text())
    except (OSError, ValueError):
        return None
