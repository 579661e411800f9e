"""What can be evaluated: a preset, a run, a `Generator`, or images in arrays, a file or shards; checked at once."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ddpm import presets
from keras_ddpm.checks.sampling import check_request, in_words, steps_in_words, temperature_in_words
from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels, read_images
from keras_ddpm.shards.dataset import ShardedImages

DEFAULT_N = 1_000


@dataclasses.dataclass(frozen=True)
class Source:
    """What is evaluated.

    Args:
        title: For a reader.
        python: The source as `evaluate` takes it, as text.
        flags: The same as flags of the command line; None for what has no name.
        w: Guidance: one number, or one for each class.
        sampling: The sampler and its steps, for a reader.
        build: Makes the generator; None for given images.
        images, labels: uint8 (N, H, W, C) and int (N,), if they are given.
        data_set: Images in shards, which are read one after the other.
    """

    title: str
    python: str
    flags: str | None = None
    w: Any = None
    sampling: str = ""
    build: Callable | None = None
    images: Any = None
    labels: Any = None
    data_set: ShardedImages | None = None

    def count(self, n: int | None, *, most: int) -> int:
        """How many images are measured: n, by default all given ones, or 1000 drawn ones, up to `most`.

        Raises:
            ValueError: if fewer than n are given.
        """
        if self.build is not None:
            return n or min(DEFAULT_N, most)
        given = len(self.images if self.data_set is None else self.data_set)
        if n and n > given:
            raise ValueError(f"`n` must be at most {given}, the number of images. Received: {n}")
        return n or min(given, most)

    def select(self, n: int | None, *, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """n of the given images with their labels, at random if there are more; by default all, up to `most`.

        Raises:
            ValueError: if there are fewer than n.
        """
        count = self.count(n, most=most)
        kept = np.sort(np.random.default_rng(seed).permutation(len(self.images))[:count])
        return self.images[kept], self.labels[kept]


def find_source(
    source, *, w, sampler, steps, temperature=None, seed: int, n: int | None, dataset: str, kind: Kind = DIGITS
) -> Source:
    """Finds out what `source` is, and checks all that can be checked without loading weights or data.

    Args:
        source, w, sampler, steps, temperature, seed, n, dataset: See `evaluate`.
        kind: What the judge knows.

    Returns:
        `Source`.

    Raises:
        ValueError: for arguments that this source does not take.
        OSError: for files that do not exist.
    """
    given = {"w": w, "sampler": sampler, "steps": steps, "temperature": temperature}
    if isinstance(source, tuple):
        _nothing_to_sample(given)
        return _of_arrays(*source, kind=kind, title=f"{len(source[0])} given images", python="(images, labels)")
    if isinstance(source, str | pathlib.Path):
        path = pathlib.Path(source)
        if is_data_set(source):
            _nothing_to_sample(given)
            return _of_data_set(source, kind)
        if path.suffix == ".npz" or path.is_file():
            _nothing_to_sample(given)
            found = {"title": f"Images of {path.name}", "python": repr(str(source)), "flags": f"--images {source}"}
            return _of_arrays(*read_images(path), kind=kind, **found)
        return _of_preset(source, given, seed=seed, n=n, dataset=dataset, kind=kind)
    if hasattr(source, "sample") and hasattr(source, "network"):
        return _of_generator(source, given, seed=seed, n=n, kind=kind)
    raise ValueError(
        "`source` must be a preset's name, a run folder, a `Generator`, the path of an .npz file or of a data set in "
        f"shards, or (images, labels). Received: {source!r:.60}"
    )


def is_data_set(source: str | pathlib.Path) -> bool:
    """Whether a path is that of a data set in shards: it has a manifest, and is no preset; or it is a bucket's URL."""
    folder = pathlib.Path(source)
    return "://" in str(source) or ((folder / "manifest.json").is_file() and not (folder / "config.json").exists())


def _nothing_to_sample(given):
    if any(value is not None for value in given.values()):
        raise ValueError(f"`w`, `sampler`, `steps` and `temperature` do nothing to given images. Received: {given}")


def _of_arrays(images, labels, *, kind, **found):
    if np.ndim(images) == 4 and np.shape(images)[1:] != kind.image_shape:
        raise ValueError(_other_images(kind, f"images of {' x '.join(map(str, np.shape(images)[1:]))}"))
    check_images(images, kind=kind)
    check_labels(labels, images, kind=kind)
    return Source(images=np.asarray(images), labels=np.asarray(labels), **found)


def _of_data_set(source, kind):
    found = ShardedImages(source)
    check_kind(found.settings["image_shape"], len(found.label_counts), kind)
    name = str(source).rstrip("/").rpartition("/")[2]
    return Source(title=f"Data set {name}", python=repr(str(source)), flags=f"--images {source}", data_set=found)


def _of_preset(source, given, *, seed, n, dataset, kind):
    settings, image_shape, num_classes = presets.read_config(source)
    check_kind(image_shape, num_classes, kind)
    weights, trained_on = presets.weights_file(source), settings.data.dataset
    if not weights.is_file():
        raise FileNotFoundError(f"There are no weights yet: {str(weights)!r}")
    if trained_on != dataset and not any(name.endswith(".npz") for name in (trained_on, dataset)):
        raise ValueError(f"`dataset` is {dataset!r}, but the preset was trained on {trained_on!r}")
    sampling = presets.with_sampling(settings, **given).sampling
    _check_seeds(sampling.w, seed, n, kind)
    shipped = isinstance(source, str) and source in presets.names()
    return Source(
        title=f"Preset {source}" if shipped else f"Run {pathlib.Path(source).name}",
        python=repr(str(source)),
        flags=f"--preset {source}" if shipped else f"--run {source}",
        w=sampling.w,
        sampling=f"{sampling.sampler}, {steps_in_words(sampling.steps)}, w = {in_words(sampling.w)}"
        + temperature_in_words(sampling.temperature),
        build=lambda: presets.load_preset(source, **given),
    )


def _of_generator(generator, given, *, seed, n, kind):
    check_kind(generator.image_shape, generator.network.num_classes, kind)
    if given["w"] is None or any(value is not None for name, value in given.items() if name != "w"):
        raise ValueError(f"A `Generator` needs `w`, and has its sampler, steps and temperature. Received: {given}")
    _check_seeds(given["w"], seed, n, kind)
    return Source(
        title="A generator",
        python="generator",
        w=given["w"],
        sampling=f"{steps_in_words(len(generator.times))}, w = {in_words(given['w'])}"
        + temperature_in_words(generator.temperature),
        build=lambda: generator,
    )


def check_kind(image_shape: tuple[int, ...], num_classes: int, kind: Kind) -> None:
    """Raise for images that a judge does not know.

    Args:
        image_shape, num_classes: Of the images.
        kind: What the judge knows.

    Raises:
        ValueError: saying how to train one that does.
    """
    if (tuple(image_shape), num_classes) != kind:
        raise ValueError(_other_images(kind, Kind(tuple(image_shape), num_classes)))


def _other_images(kind, received):
    return (
        f"The judge knows {kind}. Train one for the images' data set with `python -m keras_ddpm judge`, at the run's "
        f"`--image-size` if it has one, and name it as `judge`. Received: {received}"
    )


def _check_seeds(w, seed, n, kind):
    check_request(0, None, [seed, seed + (n or DEFAULT_N)], num_classes=kind.num_classes, own=w)
