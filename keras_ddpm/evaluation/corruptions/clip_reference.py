"""The rows a CLIP figure must stand beside: real images, known-bad ones, and what the evaluator cannot see.

    python -m keras_ddpm.evaluation.corruptions.clip_reference --evaluator digit_clip --n 2000

Each row is `clip_scores` of one set of images made from the same real ones.
"""

import argparse

import numpy as np

from keras_ddpm.evaluation import bad, clip_unseen, degradations
from keras_ddpm.evaluation.metrics.clip_scores import clip_scores


def _spoilt(spoil):
    """A set of spoilt images under their own labels."""
    return lambda images, labels, *, rng: (spoil(images, rng), labels)


def _mixed(spoil):
    """A set of images mixed with images of other digits, under their own labels."""
    return lambda images, labels, *, rng: (spoil(images, images[degradations.partners(labels, rng)], rng), labels)


# Each a function (images, labels, *, rng) -> (images, labels). The digit CLIP was trained on the third group only.
REFERENCES = {
    "real": lambda images, labels, *, rng: (images, labels),
    **bad.FROM_ANY,
    "trained: blur": _spoilt(degradations.blur),
    "trained: diffuse": _spoilt(degradations.diffuse),
    "trained: erase bands": _spoilt(degradations.erase_bands),
    "trained: cross-fade": _mixed(degradations.cross_fade),
    "trained: splice": _mixed(degradations.splice),
    "trained: shuffle cells": _spoilt(degradations.shuffle_cells),
    "trained: blobs": _spoilt(degradations.blobs),
    "trained: noise": _spoilt(degradations.noise),
    "motion blur": _spoilt(clip_unseen.motion_blur),
    "pixelated": _spoilt(clip_unseen.pixelate),
    "salt and pepper": _spoilt(degradations.salt_and_pepper),
    "mirrored": _spoilt(clip_unseen.mirror),
    "small gap": _spoilt(clip_unseen.small_gap),
    "thick": _spoilt(clip_unseen.thicken),
    "eroded": _spoilt(clip_unseen.erode),
}
SHORT = ("real", "wrong labels", "blobs", "cross-fades", "noise")


def reference_scores(images, labels, *, evaluator=None, names=SHORT, seed=0):
    """Scores real images and known-bad ones made from them.

    Args:
        images: uint8 array (N, 28, 28, 1), real images.
        labels: int array (N,), at least two different digits.
        evaluator: A `clip.ClipEvaluator`; by default the shipped digit CLIP.
        names: Keys of `REFERENCES`.
        seed: int; each set of bad images follows from it and from the set's name alone.

    Returns:
        Iterator of (name of the set, dict of `clip_scores`).

    Raises:
        ValueError: when a name is unknown.
    """
    unknown = [name for name in names if name not in REFERENCES]
    if unknown:
        raise ValueError(f"`names` must be among {list(REFERENCES)}. Received: {unknown}")
    labels = np.asarray(labels)
    for name in names:
        rng = np.random.default_rng((seed, *name.encode()))
        made, wanted = REFERENCES[name](images, labels, rng=rng)
        yield name, dict(clip_scores(made, wanted, evaluator=evaluator))


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist", help="a TFDS name or the path of an .npz file")
    parser.add_argument("--evaluator", default="digit_clip", help="digit_clip, or a CLIP preset of KerasCV")
    parser.add_argument("--n", type=int, default=2000, help="how many test images")
    parser.add_argument("--digits", action="store_true", help="print each digit of the real images too")
    args = parser.parse_args(argv)

    from keras_ddpm import data
    from keras_ddpm.evaluation import clip_presets

    images, labels, _ = data.load(args.dataset, split="test")
    evaluator = clip_presets.load_evaluator(args.evaluator, images=images[:500], labels=labels[:500])
    figures = ("photo", "blurry", "clear", "sharp", "zero_shot")
    print(f"evaluator: {evaluator.name}, {len(labels[: args.n])} test images, percent")
    print(f"{'':26s}" + "".join(f"{figure:>10s}" for figure in figures))
    rows = reference_scores(images[: args.n], labels[: args.n], evaluator=evaluator, names=list(REFERENCES))
    for name, scores in rows:
        keys = ["all", *(range(10) if args.digits and name == "real" else ())]
        for key in keys:
            values = [scores[f"clip/{evaluator.name}/{figure}/{key}"] for figure in figures]
            label = name if key == "all" else f"  {key}"
            print(f"{label:26s}" + "".join(f"{value:10.1f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
