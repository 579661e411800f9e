"""The network in the file of a smaller runtime, by Keras's own `Model.export`, with a JSON beside it.

Each is written under a hidden name, loaded by its runtime, compared with Python, and renamed. What is in it, and why it
is one call of the network: `keras_ddpm.runtimes`. What each cannot do: docs/runtimes.md.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np

from keras_ddpm import __version__, presets
from keras_ddpm.checks.sampling import w_of_class
from keras_ddpm.conditions import Label
from keras_ddpm.data import attributes
from keras_ddpm.runtimes import engines
from keras_ddpm.runtimes import files as layout
from keras_ddpm.runtimes.drawer import Drawer
from keras_ddpm.runtimes.steps import steps_of
from keras_ddpm.saving import files

from . import verify

WRITERS = {"litert": (), "onnx": ("tf2onnx",), "openvino": ("openvino",)}
"""The packages that write each format, beside Keras and TensorFlow."""
COMPARED = 12  # images


def check_format(runtime: str) -> None:
    """Raise unless what writes and reads a format is installed.

    Raises:
        ValueError: saying how to install it.
    """
    engines.check_installed(runtime)
    missing = [name for name in WRITERS[runtime] if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"Writing `format` {runtime!r} needs more: pip install {' '.join(missing)}")


def export(
    preset: str | os.PathLike,
    runtime: str,
    *,
    out: str | os.PathLike | None = None,
    sampling: dict | None = None,
    notify: Callable[[str], object] = lambda words: None,
) -> pathlib.Path:
    """Export a preset's network for a runtime.

    Args:
        preset: Name of a shipped preset, or a folder written by train.py.
        runtime: One of `runtimes.ENGINES`.
        out: A folder that becomes a preset without weights; None: the preset's own.
        sampling: With `out`, fields of `SamplingConfig` that replace the preset's own in it; None leaves them.
        notify: Called with a few words before each stage.

    Returns:
        pathlib.Path of the JSON.

    Raises:
        ValueError: for an unknown preset or runtime, a preset of latents or guided by a weaker network, an `out` that
            holds another preset, settings that cannot be used or would not be kept, or if what was written does not
            draw what Python draws.
        OSError: if the folder cannot be written.
    """
    config, image_shape, num_classes = presets.read_config(preset)
    presets.check_pixels(config, "A runtime works")
    config = presets.with_sampling(config, **_given(sampling))
    steps, own = steps_of(config), presets.find(preset)
    folder = own if out is None else pathlib.Path(out)
    beside = folder.resolve() == own.resolve()
    _check_folder(folder, beside=beside, sampling=_given(sampling))
    notify(f"loading {preset}")
    generator = presets.load_preset(preset, **_given(sampling))
    files.check_folder(folder)
    with files.partial_folder(folder) as partial:
        notify(f"writing {runtime}")
        write(generator.network, runtime, partial)
        contents = [(partial / name).read_bytes() for name in layout.names(runtime)]
        notify("comparing it with Python")
        drawer = Drawer(contents, runtime, steps=steps, image_shape=image_shape, conditions=generator.conditions)
        compare(drawer, generator, config)
        text = json.dumps(_describe(config, preset, runtime, contents, image_shape, num_classes, steps), indent=2)
        (partial / layout.description(partial, runtime).name).write_text(text + "\n", encoding="utf-8")
        if not beside:
            presets.write_config(folder, config, image_shape, num_classes)
        for name in (*layout.names(runtime), layout.description(partial, runtime).name):
            os.replace(partial / name, folder / name)
    return layout.description(folder, runtime)


def write(network, runtime: str, folder: pathlib.Path, *, batch: int = 1) -> None:
    """Write the network itself, for a static batch."""
    import tensorflow as tf

    signature = [
        tf.TensorSpec([batch, *network.image_shape], "float32", "x_t"),
        tf.TensorSpec([batch], "float32", "t"),
        {name: tf.TensorSpec([batch], kind.dtype, name) for name, kind in network.conditions.items()},
    ]
    path = folder / layout.names(runtime)[0]
    try:
        network.export(str(path), format=runtime, input_signature=signature, verbose=False)
    except tf.errors.OpError as error:  # the disk is full
        raise OSError(f"Cannot write to {str(folder)!r}: {error.message}") from error


def compare(drawer: Drawer, generator, config) -> None:
    """Raise unless a runtime draws the pictures that Python draws, with each attribute given and not.

    Raises:
        ValueError: saying how many pixels differ, and by how much.
    """
    digit = np.arange(COMPARED) % generator.network.num_classes
    seed = np.arange(COMPARED, dtype="int64") * 2**58
    own = w_of_class(config.sampling.w, generator.network.num_classes)[digit]
    strength = np.where(np.arange(COMPARED) % 2, own, np.resize([0.0, 3.0, 1.0], COMPARED)).astype("float32")
    told = verify.attribute_rows(attributes.ranges(config.data.attributes), COMPARED)
    request = {"digit": digit.astype("int32"), "w": strength, "seed": seed, **told}
    verify.check_drawn(drawer.images(**request), verify.drawn(generator, request), "What was written")


def _check_folder(folder, *, beside, sampling):
    if beside and sampling:
        raise ValueError(
            f"{sorted(sampling)} would not be kept: the file beside a preset draws with any. Give them to `sample`, or "
            "name another folder as `out`"
        )
    if not beside and (folder / presets.WEIGHTS).exists():
        raise ValueError(f"`out` must not be the folder of another preset. Received: {str(folder)!r}")


def _given(sampling):
    return {name: value for name, value in (sampling or {}).items() if value is not None}


def _describe(config, preset, runtime, contents, image_shape, num_classes, steps):
    return {
        "version": layout.VERSION,
        "keras_ddpm": __version__,
        "preset": config.name,
        "weights_sha256": presets.fingerprint(preset),
        "files": {n: hashlib.sha256(content).hexdigest() for n, content in zip(layout.names(runtime), contents)},
        "image_shape": list(image_shape),
        "num_classes": num_classes,
        "null_label": Label(num_classes).null,
        **({"attributes": attributes.ranges(config.data.attributes)} if config.data.attributes else {}),
        "w": config.sampling.w,
        "sampler": config.sampling.sampler,
        "steps": steps.to_values(),
    }
