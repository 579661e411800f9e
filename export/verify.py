"""Verification: a SavedModel in a session, as a server runs it, against Python's `Generator`."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_ddpm import presets
from keras_ddpm.data import to_uint8
from keras_ddpm.data.pixels import to_float
from keras_ddpm.generator import Generator
from keras_ddpm.noise import split_seed
from keras_ddpm.restoration import operators
from keras_ddpm.restoration.api import graph

from . import metadata, session, versions

W = (None, 0.0, 1.0, 3.0)  # None: the model's own
DIFFERING = 1e-3  # share of pixels that may round to the next grey level: floats differ by 1e-5 between batch sizes
SETTINGS = ("sampler", "steps", "eta", "guidance", "guidance_interval", "threshold", "temperature")


def verify(
    folder: str | os.PathLike,
    *,
    preset: str | os.PathLike | None = None,
    notify: Callable[[str], object] = lambda words: None,
) -> dict:
    """Draw through a SavedModel and through Python, alone and in every batch size, and compare.

    Loading executes the graph and runs the warm-up records, so a bad one fails here as it fails in a server.

    Args:
        folder: A version's folder, or the model's: then the highest version.
        preset: What it was exported from; None: the shipped preset of the name in its metadata.
        notify: Called with a few words before each stage.

    Returns:
        dict: the folder, the metadata, and how many images and pixels were compared, how many pixels differ, and by how
        many grey levels at most.

    Raises:
        ValueError: if there is no version, it cannot be loaded, the preset has other weights, or the pictures are not
            the same.
    """
    folder = versions.find(folder)
    notify("loading the graph in a session")
    servable = session.load(folder)
    try:
        found = metadata.of_loaded(servable)
        generator = _python(found, preset or found["name"], folder)
        requests = _requests(found)
        notify("drawing through the graph")
        served = [servable.run("sample", request)["image"] for request in requests]
        _check_siblings(servable, requests[0], served[0])
        if "restore" in found:
            _check_restored(servable, requests[0], served[0], generator, found["restore"])
    finally:
        servable.close()
    notify("drawing in Python")
    expected = [drawn(generator, request) for request in requests]
    images = np.concatenate(served)
    differing, greatest = check_drawn(images, np.concatenate(expected), str(folder))
    return {
        "folder": folder,
        "metadata": found,
        "images": len(images),
        "pixels": images.size,
        "pixels that differ": differing,
        "greatest difference": greatest,
    }


def _python(found, preset, folder):
    """The generator that the export was made of."""
    if presets.fingerprint(preset) != found["weights_sha256"]:
        raise ValueError(f"{folder} holds other weights than preset {preset!r}: name the one it was exported from")
    settings = {name: found[name] for name in SETTINGS if name in found}
    interval = settings["guidance_interval"]
    return presets.load_preset(preset, **settings | {"guidance_interval": tuple(interval or (0.0, np.inf))})


def _requests(found):
    """The same rows in batches of every size: alone, and with others."""
    sizes = [3, *found["allowed_batch_sizes"]]
    digits = np.arange(max(sizes)) % found["num_classes"]
    ws = [None] if found["guidance"] == "none" else W  # without guidance the model's own w is the only one
    w = np.array([found["w"] if w is None else w for w in np.resize(np.array(ws, object), len(digits))], "float32")
    seeds = np.arange(len(digits), dtype="int64") * 2**56  # up to 2^62
    told = attribute_rows(found.get("attributes", {}), len(digits))
    rows = {"digit": digits.astype("int32"), "w": w, "seed": seeds, **told}
    return [{name: value[-n:] for name, value in rows.items()} for n in sizes]


def check_drawn(images: np.ndarray, expected: np.ndarray, what: str) -> tuple[int, int]:
    """Raise unless images are those that Python draws, but for few pixels that round to the next grey level.

    Args:
        images, expected: uint8 of one shape.
        what: What drew the images, in words.

    Returns:
        Pixels that differ, and by how many grey levels at most.

    Raises:
        ValueError: saying both.
    """
    differences = np.abs(images.astype(int) - expected)
    differing, greatest = int(np.count_nonzero(differences)), int(differences.max())
    if greatest > 1 or differing > DIFFERING * differences.size:
        raise ValueError(
            f"{what} draws other images than keras_ddpm.sample: {differing} of {differences.size} pixels differ, "
            f"by up to {greatest} grey levels"
        )
    return differing, greatest


def attribute_rows(ranges: Mapping[str, Sequence[float]], count: int) -> dict[str, np.ndarray]:
    """Attributes to compare with: each over its range in some rows and NaN, not given, in others.

    The bits of a row's number say which attributes it has; no two attributes are alike.

    Args:
        ranges: The least and the greatest number of each.
        count: Rows, at least 2.

    Returns:
        dict of float32 (count,).
    """
    rows, bits = {}, count.bit_length() - 1
    for i, (name, (low, high)) in enumerate(ranges.items()):
        values = np.random.default_rng(i).permutation(np.linspace(low, high, count, dtype="float32"))
        rows[name] = np.where(np.arange(count) >> i % bits & 1, values, np.float32(np.nan))
    return rows


def drawn(generator: Generator, request: Mapping[str, np.ndarray]) -> np.ndarray:
    """What Python draws of a request with a row for each image, as a server has it: uint8 (N, H, W, C)."""
    others = {name: value for name, value in request.items() if name not in ("digit", "seed")}
    inputs = {"label": request["digit"], "key": split_seed(request["seed"]), **others}
    return to_uint8(generator.predict_on_batch(inputs)["image"])


def _check_siblings(servable, request, images):
    """The PNGs hold the images, and the trajectory ends in them."""
    import tensorflow as tf

    pngs = servable.run("sample_png", request)["image_bytes"]
    if not all(np.array_equal(tf.io.decode_png(png).numpy(), image) for png, image in zip(pngs, images)):
        raise ValueError("`sample_png` returns other images than `sample`")
    path = servable.run("trajectory", request)
    last = to_uint8(path["x_t"][:, -1]).astype(int)
    if path["t"][0, -1] != -1 or np.abs(last - images).max() > 1:
        raise ValueError("`trajectory` does not end in the images of `sample`")


def _check_restored(servable, request, images, generator, settings):
    """`restore` keeps what is known, and draws what Python draws, with a digit and without."""
    mask = np.zeros(images.shape[:3], "uint8")
    mask[:, :, images.shape[2] // 2 :] = 1
    unknown = np.arange(len(images)) % 2 == 1
    digit = np.where(unknown, -1, request["digit"]).astype("int32")
    given = {"image": images, "mask": mask, "digit": digit, "w": request["w"], "seed": request["seed"]}
    restored = servable.run("restore", given)["image"]
    rows = {
        "label": np.where(unknown, generator.nulls["label"], request["digit"]).astype("int32"),
        "w": np.where(unknown, 1.0, request["w"]).astype("float32"),
        "key": split_seed(request["seed"]),
        "y": to_float(images),
        "known": 1.0 - mask[..., None].astype("float32"),
        "noise": np.zeros(len(images), "float32"),
    }
    drawn = np.asarray(graph(generator, operators.inpainting, **settings)(rows)).astype(int)
    if np.any(restored[mask == 0] != images[mask == 0]):
        raise ValueError("`restore` returns other pixels than the known ones")
    differences = np.abs(drawn - restored)
    if differences.max() > 1 or np.count_nonzero(differences) > DIFFERING * differences.size + 1:
        raise ValueError("`restore` draws other images than keras_ddpm.restore")
