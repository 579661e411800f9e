"""Does synthetic data help a classifier that has few images?

python -m studies.augmentation [--quick]

Classifiers learn from 10, 50 or 200 images of each digit, or from a set in which two digits are rare, and are tested on
all test images. Beside these images they see nothing, distorted copies, synthetic images, or both. The synthetic images
are of a generator that was trained on the same few images and on nothing else, so nothing comes in from outside.
Everything is done with three seeds: they choose the images and begin both trainings. Test images are for the figures
alone.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from keras_ddpm import data, presets
from keras_ddpm.data.augmentation import distort
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.train_classifier import train_classifier
from keras_ddpm.evaluation.metrics.memorisation import copied, two_nearest_images
from studies import comparison, few_images, formats, study

RARE = (5, 9)
"""The rare digits: 5 is easily taken for 3, and 9 for 4, which are common."""
COMMON, FEW = 200, 10
SETS = {
    "10": np.full(10, 10),
    "50": np.full(10, 50),
    "200": np.full(10, COMMON),
    "rare": np.where(np.isin(np.arange(10), RARE), FEW, COMMON),
}
"""Real images of each digit, by set."""
SYNTHETIC = 200
"""Synthetic images of each digit; where digits are rare, what they lack."""


class Arm(NamedTuple):
    """What a classifier sees beside the real images: more of them, and each of all distorted anew in every epoch."""

    added: str = ""
    distorted: bool = False


ARMS = {
    "plain": Arm(),
    "distorted": Arm(distorted=True),
    "synthetic": Arm("synthetic"),
    "both": Arm("synthetic", distorted=True),
}
REPEATED = {"repeated": Arm("repeated"), "repeated and distorted": Arm("repeated", distorted=True)}
"""What else there is where digits are rare: their real images as often as the others'."""
COMPARISONS = (
    ("synthetic", "plain"),
    ("both", "distorted"),
    ("synthetic", "distorted"),
    ("synthetic", "repeated"),
    ("both", "repeated and distorted"),
)
"""With synthetic images, and without: the one beside the other."""
EPOCHS = 4  # of the generator
STEPS_OF_GENERATOR = few_images.STEPS  # in each
ARCH, BATCH, STEPS = "wide5x5", 50, 300  # of the classifiers

Pair = tuple[np.ndarray, np.ndarray]


def run(options: study.Options) -> None:
    pool, _ = few_images.split(options)
    images, labels, _ = data.load(options.dataset, "test")
    test = (images[: options.count(len(images))], labels[: options.count(len(images))])
    settings = {"epochs": EPOCHS, "synthetic": SYNTHETIC, "arch": ARCH, "steps": STEPS, "test": len(test[0])}
    results = study.Results("augmentation", options, **settings)
    for seed in options.seeds():
        for name in ("10",) if options.quick else SETS:
            rows = few_images.choose(pool.labels, SETS[name], seed)
            measure_set(results, name, (pool.images[rows], pool.labels[rows]), test, seed, options)


def measure_set(results: study.Results, name: str, real: Pair, test: Pair, seed: int, options: study.Options) -> None:
    """The rows of one set with one seed: its generator, and a classifier for each arm."""

    @functools.cache
    def drawn():
        folder = few_images.train(f"few_{name}_seed{seed}", *real, options, epochs=EPOCHS, seed=seed)
        return None if folder is None else draw(folder, wanted(name), seed)

    def generator():
        return drawn() and describe(results, name if seed == 0 else None, real, drawn())

    def classifier(arm):
        training = mixed(real, drawn()) if arm.added == "synthetic" else balanced(real) if arm.added else real
        return training and classify(training, arm, test, seed, options)

    results.row(f"{name} generator seed={seed}", generator)
    for title, arm in arms(name).items():
        results.row(f"{name} {title} seed={seed}", classifier, arm)


def arms(name: str) -> dict[str, Arm]:
    """The arms of a set."""
    return ARMS | REPEATED if name == "rare" else ARMS


def wanted(name: str) -> np.ndarray:
    """How many synthetic images of each digit (10,) a set gets."""
    counts = SETS[name]
    return counts.max() - counts if name == "rare" else np.full(10, SYNTHETIC)


def draw(folder: Any, counts: np.ndarray, seed: int) -> Pair:
    """Synthetic images and their labels: so many of each digit, guided as the generator is by default."""
    labels = np.repeat(np.arange(10, dtype="int32"), counts)
    w = presets.read_config(folder)[0].sampling.w
    images, _ = study.draw(presets.load_preset(folder), labels, w, seed=seed * len(labels))
    return images, labels


def mixed(real: Pair, drawn: Pair | None) -> Pair | None:
    """Real and synthetic images; where there are fewer real ones, all of these as often as makes them about as many."""
    if drawn is None:
        return None
    times = max(1, len(drawn[1]) // len(real[1]))
    images, labels = (np.concatenate([a] * times + [b]) for a, b in zip(real, drawn))
    return images, labels


def balanced(real: Pair) -> Pair:
    """Real images, those of a rare digit repeated until they are as many as the others'."""
    images, labels = real
    most = np.bincount(labels).max()
    rows = np.concatenate([np.resize(np.flatnonzero(labels == digit), most) for digit in np.unique(labels)])
    return images[rows], labels[rows]


def classify(training: Pair, arm: Arm, test: Pair, seed: int, options: study.Options) -> study.Figures:
    """Accuracy on test images of a classifier that is trained for the same number of steps as any other."""
    images, labels = training
    epochs = max(1, round((2 if options.quick else STEPS) / (len(images) // BATCH)))
    settings = {"arch": ARCH, "epochs": epochs, "batch_size": BATCH, "seed": seed}
    judge = train_classifier(images, labels, augment=distort if arm.distorted else None, **settings)
    right = judge(test[0])[0].argmax(axis=1) == test[1]
    recall = [float(right[test[1] == digit].mean()) for digit in range(10)]
    rare = float(np.mean([recall[digit] for digit in RARE]))
    return {"accuracy": right.mean(), "recall_of_digit": recall, "recall_of_rare": rare, "images": len(images)}


def describe(results: study.Results, picture: str | None, real: Pair, drawn: Pair) -> study.Figures:
    """How good synthetic images are by the shipped classifier, which no training here uses, and how many are copies."""
    images, labels = drawn
    if picture:
        study.grid(results.picture(f"{picture}_synthetic"), images, labels)
        study.grid(results.picture(f"{picture}_real"), *real)
    distances, _ = two_nearest_images(images, real[0])
    right = np.mean(load_classifier()(images)[0].argmax(axis=1) == labels)
    return {"right_digit": right, "copies": copied(distances).mean(), "images": len(images), "real": len(real[0])}


def difference(
    rows: dict[str, study.Figures], name: str, arm: str, other: str, figure: str
) -> comparison.Difference | None:
    """What an arm gains over another; None if fewer than two seeds are measured.

    Args:
        rows: Those of the study's file.
        name: Key of `SETS`.
        arm, other: Keys of `arms(name)`.
        figure: Name of a share.
    """
    ours, theirs = (
        {seed: 100 * rows[row][figure] for seed in range(study.SEEDS) if (row := f"{name} {title} seed={seed}") in rows}
        for title in (arm, other)
    )
    return comparison.paired(ours, theirs)


def table(rows: dict[str, study.Figures]) -> list[dict[str, Any]]:
    """Every comparison of the page: set, arms, and the gain in accuracy and, where digits are rare, in their recall."""
    return [
        {
            "set": name,
            "arm": arm,
            "other": other,
            "accuracy": difference(rows, name, arm, other, "accuracy"),
            "rare": difference(rows, name, arm, other, "recall_of_rare") if name == "rare" else None,
        }
        for name in SETS
        for arm, other in COMPARISONS
        if other in arms(name)
    ]


def recall(rows: dict[str, study.Figures], name: str, arm: str, digit: int) -> str:
    """Recall of one digit as text: mean and standard deviation over the seeds."""
    values = [100 * row["recall_of_digit"][digit] for row in study.named(rows, f"{name} {arm} seed=")]
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f} %" if len(values) > 1 else "–"


TITLES = {name: f"{name} images a digit" for name in SETS} | {"rare": "two rare digits"}


def verdicts(rows: dict[str, study.Figures]) -> list[str]:
    """A sentence for each comparison over all sets, computed from the figures."""
    sentences = []
    for arm, other in COMPARISONS:
        gains = {row["set"]: row["accuracy"] for row in table(rows) if (row["arm"], row["other"]) == (arm, other)}
        words: dict[str, list[str]] = {}
        for name, gain in gains.items():
            word = gain.verdict if gain else "not measured yet"
            words.setdefault(word, []).append(f"{TITLES[name]} ({gain} points)" if gain else TITLES[name])
        parts = [f"{word} with {formats.listed(names)}" for word, names in words.items()]
        sentences.append(f"“{arm}” beside “{other}”: {'; '.join(parts)}.")
    return sentences


def answer(rows: dict[str, study.Figures]) -> str:
    """The answer to the study's question in one sentence, computed from the figures.

    It compares with the best arm that has no synthetic images.
    """
    best = {"rare": ("both", "repeated and distorted")}
    gains = {name: difference(rows, name, *best.get(name, ("both", "distorted")), "accuracy") for name in SETS}
    if not all(gains.values()):
        return "Not all of it is measured yet."
    by = {word: [TITLES[n] for n, gain in gains.items() if gain.verdict == word] for word in ("better", "worse")}
    if not by["better"]:
        harm = f", and with {formats.listed(by['worse'])} they harm" if by["worse"] else ""
        return f"No: beside classical augmentation synthetic images of so small a generator help nowhere{harm}."
    if len(by["better"]) == len(SETS):
        return "Yes: synthetic images help beside classical augmentation in every set."
    harm = f"; with {formats.listed(by['worse'])} they harm" if by["worse"] else ""
    return f"In part: beside classical augmentation synthetic images help with {formats.listed(by['better'])}{harm}."


if __name__ == "__main__":
    study.main(run, __doc__)
