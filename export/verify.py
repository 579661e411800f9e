"""Verification: a SavedModel in a session, as a server runs it, against `keras_ddpm.sample`."""

import json
import pathlib

import numpy as np

from export.savedmodel import fingerprint
from keras_ddpm import api
from serving.servable import Servable

W = (None, 0.0, 1.0, 3.0)  # None: the model's own


def verify(folder, *, preset=None):
    """Draw through a SavedModel and through Python, alone and in batches, and compare.

    Loading runs the warm-up records, so a bad one fails here as it fails in a server.

    Args:
        folder: A version's folder, or the model's: then the highest version.
        preset: What it was exported from; None: the shipped preset of the name in its metadata.

    Returns:
        dict: version's path, metadata, images compared, pixels compared, pixels that differ, greatest difference
        (in grey levels), warm-up records.

    Raises:
        ValueError: if there is no version, the preset has other weights, or a signature's answers disagree.
    """
    folder = find_version(folder)
    servable = Servable(folder)
    try:
        facts = metadata(servable)
        preset = preset or facts["name"]
        if fingerprint(preset) != facts["weights_sha256"]:
            raise ValueError(f"{folder} holds other weights than preset {preset!r}: name the one it was exported from")
        requests = _requests(facts)
        served = [servable.run("sample", request)["image"] for request in requests]
        drawn = [_python(facts, preset, request) for request in requests]
        _check_siblings(servable, requests[-1], served[-1])
    finally:
        servable.close()
    differences = np.abs(np.concatenate(served).astype(int) - np.concatenate(drawn))
    return {
        "folder": folder,
        "metadata": facts,
        "images": len(differences),
        "pixels": differences.size,
        "pixels that differ": int(np.count_nonzero(differences)),
        "greatest difference": int(differences.max()),
    }


def find_version(folder):
    """A version's folder, from itself or from the model's folder.

    Raises:
        ValueError: if there is none.
    """
    folder = pathlib.Path(folder)
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    if not versions:
        raise ValueError(f"{str(folder)!r} must be a SavedModel, or a folder of numbered ones. There is none")
    return max(versions, key=lambda path: int(path.parent.name)).parent


def metadata(servable):
    """What the model says of itself."""
    return json.loads(servable.run("metadata", {"digit": np.zeros(1, "int32")})["metadata"][0])


def _requests(facts):
    """The same rows one by one, and in batches with others before them."""
    sizes = (*facts["allowed_batch_sizes"][:5], 3)
    digits = np.arange(max(sizes)) % facts["num_classes"]
    w = np.array([facts["w"] if w is None else w for w in np.resize(np.array(W, object), len(digits))], "float32")
    seeds = np.arange(len(digits), dtype="int64") * 2**58  # up to 2^62
    rows = {"digit": digits.astype("int32"), "w": w, "seed": seeds}
    return [{name: value[-n:] for name, value in rows.items()} for n in sizes]


def _python(facts, preset, request):
    images = api.sample(
        request["digit"],
        request["w"],
        seed=request["seed"],
        sampler=facts["sampler"],
        steps=facts["steps"],
        preset=preset,
    )
    return images.reshape(len(images), *facts["image_shape"])


def _check_siblings(servable, request, images):
    """The PNGs hold the images, and the trajectory ends in them."""
    import tensorflow as tf

    pngs = servable.run("sample_png", request)["image_bytes"]
    if not all(np.array_equal(tf.io.decode_png(png).numpy(), image) for png, image in zip(pngs, images)):
        raise ValueError("`sample_png` answers other images than `sample`")
    path = servable.run("trajectory", request)
    last = np.rint((np.clip(path["x_t"][:, -1], -1, 1) + 1) * 127.5)
    if path["t"][0, -1] != -1 or np.abs(last - images).max() > 1:
        raise ValueError("`trajectory` does not end in the images of `sample`")
