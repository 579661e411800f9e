"""Presets: a configuration and its weights, shipped in `presets/` or in any folder of the same shape.

    config.json           the configuration, the image's shape, the number of classes, the versions that made it
    network.weights.h5    the averaged weights, unless config.json names another preset whose `weights` these are
    codec.weights.h5      beside these, if latents are diffused: the autoencoder that they come from

The run of an autoencoder has the same shape; its weights are those of an `Autoencoder`.

A run of train.py is such a folder.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import pathlib
import platform
from typing import TYPE_CHECKING, Any

from keras_ddpm import config as configuration
from keras_ddpm.checks.sampling import check_baked_w
from keras_ddpm.saving.files import write_text

if TYPE_CHECKING:
    from keras_ddpm.codec import Codec
    from keras_ddpm.generator import Generator
    from keras_ddpm.networks.autoencoder import Autoencoder
    from keras_ddpm.networks.unet import UNet

SHIPPED = pathlib.Path(__file__).parent / "presets"
DEFAULT, ONE_CALL = "mnist", "mnist_fast_v2"
"""Presets where none is named: of all that guides or takes several calls, and of what draws in one (`default_for`)."""
WEIGHTS, CODEC = "network.weights.h5", "codec.weights.h5"
PACKAGES = ("keras", "tensorflow", "jax", "numpy")


def names() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def default_for(*, w=None, sampler=None, steps=None, guide=None) -> str:
    """The preset to draw with where none is named: `ONE_CALL`, or `DEFAULT` if any of these is given."""
    return ONE_CALL if all(value is None for value in (w, sampler, steps, guide)) else DEFAULT


def find(preset) -> pathlib.Path:
    """The folder of a preset.

    Args:
        preset: Name of a shipped preset, or path of a folder of the same shape. A folder that is called like a shipped
            preset is meant by a pathlib.Path, or with "./" before it.

    Returns:
        pathlib.Path.

    Raises:
        ValueError: if there is none; the error lists the shipped ones.
    """
    if not isinstance(preset, str | pathlib.Path):
        raise ValueError(f"`preset` must be one of {names()}, or a folder with config.json. Received: {preset!r}")
    folder = SHIPPED / preset if isinstance(preset, str) and preset in names() else pathlib.Path(preset)
    if (folder / "config.json").is_file():
        return folder
    raise ValueError(f"`preset` must be one of {names()}, or a folder with config.json. Received: {str(preset)!r}")


def weights_file(preset) -> pathlib.Path:
    """Path of a preset's weights, whether they are there or not: its own, or those of the preset that it names.

    Raises:
        ValueError: if the name is no text, or leads back to the preset itself.
    """
    visited = []
    while (other := _read(preset)[1].get("weights")) is not None:
        if not isinstance(other, str) or other in visited:
            raise ValueError(
                f"`weights` in {find(preset) / 'config.json'} must name a preset that has weights. Received: {other!r}"
            )
        visited.append(other)
        preset = other
    return find(preset) / WEIGHTS


def codec_file(preset) -> pathlib.Path:
    """Path of the weights of a preset's autoencoder, if it has one, whether they are there or not.

    Raises:
        ValueError: see `weights_file`.
    """
    return weights_file(preset).with_name(CODEC)


def weak_of(preset, weak: str) -> str:
    """The preset that `weak`, the weaker network of autoguidance, names: a folder in the preset's own comes first.

    Raises:
        ValueError: if there is none.
    """
    inside = find(preset) / weak
    if (inside / "config.json").is_file():
        return str(inside)
    try:
        find(weak)
    except ValueError as error:
        raise ValueError(f"`weak` names no preset, and no folder in {find(preset)}. Received: {weak!r}") from error
    return weak


def files(preset) -> list[pathlib.Path]:
    """The files of weights that a preset draws with, whether they are there or not.

    Its network's, its autoencoder's if it diffuses latents, and its weaker network's if it is guided by one.

    Raises:
        ValueError: see `weights_file`, `weak_of`.
    """
    config = _read(preset)[0]
    weak = config.sampling.weak
    others = [codec_file(preset)] * config.latent
    return [weights_file(preset), *others, *([weights_file(weak_of(preset, weak))] if weak is not None else [])]


def fingerprint(preset) -> str:
    """SHA-256 of a preset's `files`, as they were before they were sealed."""
    from keras_ddpm.saving.weights import without_seal

    contents = [without_seal(path.read_bytes()) for path in files(preset)]
    return hashlib.sha256(b"".join(contents)).hexdigest()


def read_config(preset) -> tuple[configuration.Config, tuple[int, int, int], int]:
    """Configuration, image shape and number of classes of a preset, without its weights.

    Raises:
        ValueError: if there is none, or it is an autoencoder, which draws nothing by itself.
    """
    config, facts = _read(preset)
    if config.training.objective == "autoencoder":
        raise ValueError(
            "`preset` must be a model that draws: an autoencoder is for `codec`, in whose latents a training diffuses. "
            f"Received: {str(preset)!r}"
        )
    if not {"image_shape", "num_classes"} <= set(facts):
        raise ValueError(
            f"{find(preset) / 'config.json'} lacks `image_shape` or `num_classes`: it is not of a trained model"
        )
    return config, tuple(facts["image_shape"]), facts["num_classes"]


def _read(preset):
    """The configuration in a preset's config.json, and all that stands in the file, a dict."""
    text = (find(preset) / "config.json").read_text()
    return configuration.from_json(text), json.loads(text)


def load_preset(preset=DEFAULT, **sampling) -> "Generator":
    """A `Generator` with a preset's weights.

    Args:
        preset: Name of a shipped preset, or path of a folder of the same shape.
        **sampling: Fields of `SamplingConfig` that replace the preset's own; None leaves them, except
            `guidance_interval`, of which None is a value.

    Returns:
        `Generator`.

    Raises:
        ValueError: for an unknown preset, sampler or threshold, wrong steps, or weights of another architecture.

    Example:
        >>> generator = load_preset("mnist", sampler="ddim", steps=10)
    """
    from keras_ddpm.diffusion import Diffusion
    from keras_ddpm.generator import Generator

    config = with_sampling(read_config(preset)[0], **sampling)
    if config.sampling.weak is not None:
        config = with_sampling(config, weak=weak_of(preset, config.sampling.weak))
    diffusion = Diffusion.from_names(**vars(config.diffusion))
    return Generator.from_names(load_network(preset), diffusion, config.sampling, codec=load_codec(preset))


def load_network(preset=DEFAULT) -> "UNet":
    """A preset's network, with its weights, in float32 whatever the training's precision.

    Args:
        preset: Name of a shipped preset, or path of a folder of the same shape.

    Returns:
        `UNet`.

    Raises:
        ValueError: for an unknown preset, or weights of another architecture.
    """
    from keras_ddpm.networks.build import build_network
    from keras_ddpm.saving.weights import read_weights

    network = build_network(*read_config(preset), dtype="float32")
    read_weights(network, weights_file(preset))
    return network


def load_weak(sampling: Any, network: Any, diffusion: Any) -> "UNet":
    """The weaker network of a `SamplingConfig` with autoguidance.

    Raises:
        ValueError: if none is named, a guide is named too, or it has other images, conditions, times or another
            prediction than the network that it guides.
    """
    if sampling.weak is None or sampling.guide is not None:
        raise ValueError(
            "Autoguidance needs a weaker network, `weak`, and no `guide`. "
            f"Received: {sampling.weak!r}, {sampling.guide!r}"
        )
    from keras_ddpm.diffusion import Diffusion

    weak = load_network(sampling.weak)
    theirs = Diffusion.from_names(**vars(read_config(sampling.weak)[0].diffusion))
    same = (weak.image_shape, weak.conditions, theirs.get_config()) == (
        tuple(network.image_shape),
        network.conditions,
        diffusion.get_config(),
    )
    if not same:
        raise ValueError(
            f"`weak` must have the images, conditions and diffusion of the network that it guides. "
            f"Received: {sampling.weak!r}"
        )
    return weak


def load_codec(preset=DEFAULT) -> "Codec":
    """What is between a preset's images and what it diffuses: the identity, or its autoencoder with its weights.

    Raises:
        ValueError: for an unknown preset, or weights of another architecture.
        FileNotFoundError: if the weights of its autoencoder are missing.
    """
    config, image_shape, _ = read_config(preset)
    return make_codec(config, image_shape, codec_file(preset) if config.latent else None)


def load_autoencoder(preset) -> "Autoencoder":
    """The autoencoder of a run that trained one, or of a preset that diffuses latents, in float32.

    Raises:
        ValueError: if there is none.
        FileNotFoundError: if its weights are missing.
    """
    section, image_shape, file = find_autoencoder(preset)
    return _autoencoder(section, image_shape, file)


def find_autoencoder(preset) -> tuple[configuration.AutoencoderConfig, tuple[int, int, int], pathlib.Path]:
    """Configuration, image shape and weights file of the autoencoder in a folder; see `load_autoencoder`."""
    try:
        config, facts = _read(preset)
        there = config.autoencoder.latent_channels > 0 and "image_shape" in facts
    except ValueError:
        there = False
    if not there:
        raise ValueError(
            "`codec` must be the folder of a trained autoencoder (python train.py --config configs/autoencoder.py). "
            f"Received: {str(preset)!r}"
        )
    file = codec_file(preset) if config.latent else weights_file(preset)
    return config.autoencoder, tuple(facts["image_shape"]), file


def make_codec(config: Any, image_shape, file: pathlib.Path | None) -> "Codec":
    """The codec of a configuration: the identity, or an autoencoder in float32 whose weights are in a file.

    Raises:
        ValueError, FileNotFoundError: see `load_codec`.
    """
    from keras_ddpm.codec import Identity

    return Identity(tuple(image_shape)) if file is None else _autoencoder(config.autoencoder, image_shape, file)


def _autoencoder(section, image_shape, file):
    from keras_ddpm.networks.build import build_autoencoder
    from keras_ddpm.saving.weights import read_weights

    network = build_autoencoder(section, image_shape, dtype="float32")
    read_weights(network, file)
    return network


def with_sampling(config: Any, **sampling) -> configuration.Config:
    """The configuration with some fields of its `SamplingConfig` replaced.

    None leaves a field, except `guidance_interval`, of which None is a value: guide at all noise levels.

    Raises:
        ValueError: for a w where guidance is baked in, steps or a sampler that a few-step model was not trained for, or
            a threshold or guide where latents are diffused.
    """
    given = {name: value for name, value in sampling.items() if value is not None or name == "guidance_interval"}
    replaced = dataclasses.replace(config.sampling, **given)
    if replaced.guidance == "none":
        check_baked_w(given.get("w"), config.sampling.w)
    configuration.check_steps(replaced)
    config = dataclasses.replace(config, sampling=replaced)
    configuration.check_latent(config)
    return config


def check_pixels(config: Any, what: str) -> None:
    """Raise for a model of latents, where pixels are needed.

    Args:
        config: `Config`.
        what: What needs them, with its verb, such as "Restoration works".

    Raises:
        ValueError: saying so.
    """
    if config.latent:
        raise ValueError(
            f"{what} on pixels: `preset` must diffuse images, not latents of an autoencoder. Received: {config.name!r}"
        )


def write_config(folder, config: Any, image_shape, num_classes) -> None:
    """Write `config.json` into an existing folder."""
    facts = {"image_shape": list(image_shape), "num_classes": num_classes, "versions": versions()}
    text = json.dumps({**json.loads(configuration.to_json(config)), **facts}, indent=2) + "\n"
    write_text(pathlib.Path(folder) / "config.json", text)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make a model."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
