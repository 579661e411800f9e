"""The rows to read a CLIP figure beside: real images, images known to be bad, and damage the evaluator misses.

    python -m keras_ddpm.evaluation.metrics.clip_reference --evaluator digit_clip --n 2000

Each row is `clip_scores` of one set of images, all made from the same real ones.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tyro

from keras_ddpm.data import load
from keras_ddpm.evaluation.corruptions import broken_generators, degradations, unseen
from keras_ddpm.evaluation.judges import clip_towers, openai_clip
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores


def _degraded(degrade):
    """A set of degraded images under their own labels."""
    return lambda images, labels, *, rng: (degrade(images, rng), labels)


def _mixed(degrade):
    """A set of images mixed with images of other digits, under their own labels."""
    return lambda images, labels, *, rng: (degrade(images, images[degradations.partners(labels, rng)], rng), labels)


# Each a function (images, labels, *, rng) -> (images, labels). The digit CLIP was trained on the third group only.
REFERENCES = {
    "real": lambda images, labels, *, rng: (images, labels),
    **broken_generators.FROM_ANY,
    "trained: blur": _degraded(degradations.blur),
    "trained: diffuse": _degraded(degradations.diffuse),
    "trained: erase bands": _degraded(degradations.erase_bands),
    "trained: cross-fade": _mixed(degradations.cross_fade),
    "trained: splice": _mixed(degradations.splice),
    "trained: shuffle cells": _degraded(degradations.shuffle_cells),
    "trained: blobs": _degraded(degradations.blobs),
    "trained: noise": _degraded(degradations.noise),
    "motion blur": _degraded(unseen.motion_blur),
    "pixelated": _degraded(unseen.pixelate),
    "salt and pepper": _degraded(degradations.salt_and_pepper),
    "mirrored": _degraded(unseen.mirror),
    "small gap": _degraded(unseen.small_gap),
    "thick": _degraded(unseen.thicken),
    "eroded": _degraded(unseen.erode),
}
SHORT = ("real", "wrong labels", "blobs", "cross-fades", "noise")
SHOWN = ("photo", "blurry", "clear", "sharp", "zero_shot")


def reference_scores(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    evaluator: clip_towers.ClipEvaluator | None = None,
    names: tuple[str, ...] | list[str] = SHORT,
    seed: int = 0,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Scores real images, and known-bad ones made from them.

    Args:
        images: uint8 array (N, 28, 28, 1), real images.
        labels: int array (N,), at least two different digits.
        evaluator: A `ClipEvaluator`; by default the shipped digit CLIP.
        names: Keys of `REFERENCES`.
        seed: int; each set of bad images depends on it and on the set's name only.

    Returns:
        Iterator of (name of the set, dict of `clip_scores`).

    Raises:
        ValueError: if a name is unknown.
    """
    unknown = [name for name in names if name not in REFERENCES]
    if unknown:
        raise ValueError(f"`names` must be among {list(REFERENCES)}. Received: {unknown}")
    labels = np.asarray(labels)
    for name in names:
        rng = np.random.default_rng((seed, *name.encode()))
        made, wanted = REFERENCES[name](images, labels, rng=rng)
        yield name, dict(clip_scores(made, wanted, evaluator=evaluator))


@dataclasses.dataclass(frozen=True)
class Arguments:
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    evaluator: str = "digit_clip"
    """digit_clip, or a CLIP preset of KerasCV: clip-vit-base-patch32 and siblings."""
    n: int = 2000
    """Number of test images."""
    digits: bool = False
    """Also print a row for each digit of the real images."""


def main(args: list[str] | None = None) -> None:
    """Prints the table in docs/clip.md."""
    arguments = tyro.cli(Arguments, description=__doc__, args=args)
    images, labels, _ = load(arguments.dataset, split="test")
    evaluator = openai_clip.load_evaluator(arguments.evaluator, images=images[:500], labels=labels[:500])
    images, labels = images[: arguments.n], labels[: arguments.n]
    print(f"evaluator: {evaluator.name}, {len(labels)} test images, percent")
    print(f"{'':26s}" + "".join(f"{figure:>10s}" for figure in SHOWN))
    for name, scores in reference_scores(images, labels, evaluator=evaluator, names=list(REFERENCES)):
        keys = ["all", *(range(10) if arguments.digits and name == "real" else ())]
        for key in keys:
            values = [scores[f"clip/{evaluator.name}/{figure}/{key}"] for figure in SHOWN]
            label = name if key == "all" else f"  {key}"
            print(f"{label:26s}" + "".join(f"{value:10.1f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
