"""What a SavedModel says of itself: what its `metadata` signature returns, also as a file beside the graph."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import attributes
from keras_ddpm.networks.build import diffused_shape
from keras_ddpm.restoration import projection

from .signatures import ALLOWED_BATCH_SIZES, MAX_BATCH

PLACE = "assets.extra/metadata.json"


def collect(config, preset: str | os.PathLike, *, every: int, xla: bool) -> dict:
    """The metadata of an export.

    Args:
        config: `Config`, with the sampling that is exported.
        preset: Name or folder of the preset whose weights are exported.
        every: The k of the trajectory.
        xla: Whether the loop is compiled with XLA.

    Returns:
        dict, as JSON has it.
    """
    _, image_shape, num_classes = presets.read_config(preset)
    metadata = {
        "name": config.name,
        "weights_sha256": presets.fingerprint(preset),
        "image_shape": image_shape,
        "num_classes": num_classes,
        **({"attributes": attributes.ranges(config.data.attributes)} if config.data.attributes else {}),
        "T": config.diffusion.T,
        **dataclasses.asdict(config.sampling),
        "every": every,
        **({"latent_shape": diffused_shape(config, image_shape)} if config.latent else _restoration(config)),
        "max_batch": MAX_BATCH,
        "allowed_batch_sizes": ALLOWED_BATCH_SIZES,
        "xla": xla,
        "versions": presets.versions(),
    }
    return json.loads(json.dumps(metadata))


def _restoration(config):
    steps, repeats = min(projection.STEPS, config.diffusion.T), projection.usual_repeats(config.sampling)
    return {"restore": {"steps": steps, "repeats": repeats}}


def of_loaded(servable) -> dict:
    """What a loaded model returns: the dict of `collect`."""
    return json.loads(servable.run("metadata", {"digit": np.zeros(1, "int32")})["metadata"][0])


def write(folder: pathlib.Path, metadata: dict) -> None:
    """Write the metadata into a version's folder."""
    path = folder / PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def read(folder: pathlib.Path) -> dict | None:
    """The metadata of a version's folder, without loading the model; None if there are none that can be read."""
    try:
        return json.loads((folder / PLACE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
