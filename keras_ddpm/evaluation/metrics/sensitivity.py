"""Which metric detects which broken generator: the table in docs/evaluation.md.

    python -m keras_ddpm.evaluation.metrics.sensitivity --into docs/evaluation.md

Disjoint sets of n real test images give each metric a mean and a standard deviation. A metric detects a broken
generator if its value lies more than five of these deviations from that mean, on either side. The classification
accuracy score is a short one, 200 steps, and is tested on training images that are in none of the sets.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import tyro
from tqdm import tqdm

from keras_ddpm.data import load
from keras_ddpm.evaluation.corruptions.broken_generators import FROM_ANY, FROM_TRAINING
from keras_ddpm.evaluation.metrics import Metric, Pair, bind
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.saving.files import write_text

DEVIATIONS = 5.0
BEGIN, END = "<!-- sensitivity: begin -->", "<!-- sensitivity: end -->"


def broken_sets(test: Pair, training: Pair, *, n: int, seed: int = 0) -> dict[str, Pair]:
    """Draws n images from every broken generator.

    Args:
        test: `(images, labels)`, real, not trained on.
        training: `(images, labels)`, trained on; the first n are the reference and are not used.
        n: Images per generator.
        seed: Seed of the generators' random choices.

    Returns:
        dict from a generator's name to `(images, labels)`.
    """
    rng = np.random.default_rng(seed)
    x, y = test[0][:n], test[1][:n]
    x_t, y_t = training[0][n : 2 * n], training[1][n : 2 * n]
    sets = {name: broken(x, y, rng=rng) for name, broken in FROM_ANY.items()}
    return sets | {name: broken(x_t, y_t, rng=rng) for name, broken in FROM_TRAINING.items()}


def overall(images: np.ndarray, labels: np.ndarray, metrics: dict[str, Metric]) -> dict[str, float]:
    """Every metric's values, without those of single digits."""
    pairs = [pair for metric in metrics.values() for pair in metric(images, labels)]
    return {name: value for name, value in pairs if "/" not in name}


def detects(value: float, real: np.ndarray) -> bool:
    """Whether a value lies outside those of real images, (sets,)."""
    spread = max(np.std(real, ddof=1), 1e-6 * abs(np.mean(real)), 1e-9)
    return bool(abs(value - np.mean(real)) > DEVIATIONS * spread)


def all_metrics(training: Pair, *, n: int) -> dict[str, Metric]:
    """The inexpensive metrics and a short classification accuracy score.

    Args:
        training: `(images, labels)`; the first n are the reference, and images after the first 2n test the score.
        n: Images per set.

    Returns:
        dict from a group's name to its metric.
    """
    images, labels = training
    score = partial(classification_accuracy_score, test=(images[2 * n :][:5000], labels[2 * n :][:5000]), steps=200)
    return bind(reference=(images[:n], labels[:n]), training=images) | {"classification_accuracy_score": score}


def measure(
    test: Pair,
    training: Pair,
    *,
    metrics: dict[str, Metric],
    n: int,
    show: Callable[[Iterable], Iterable] = lambda sets: sets,
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
    """Measures sets of real test images, and every broken generator.

    Args:
        test: `(images, labels)`, at least three sets.
        training: `(images, labels)`.
        metrics: dict from a group's name to its metric.
        n: Images per set.
        show: Wraps what is iterated over, to show progress.

    Returns:
        `(real, broken)`: a dict from a metric's name to its values over the real sets, and a dict from a generator's
        name to a dict from a metric's name to its value.

    Raises:
        ValueError: if there are fewer than three sets of real images.
    """
    starts = range(0, len(test[0]) - n + 1, n)
    if len(starts) < 3:
        raise ValueError(f"`n` must leave at least 3 sets of the {len(test[0])} test images. Received: {n}")
    sets = {f"real {i}": (test[0][i : i + n], test[1][i : i + n]) for i in starts}
    everything = (sets | broken_sets(test, training, n=n)).items()
    values = {name: overall(x, y, metrics) for name, (x, y) in show(everything)}
    real = [values.pop(name) for name in sets]
    return {name: np.array([r[name] for r in real]) for name in real[0]}, values


def markdown(real: dict[str, np.ndarray], broken: dict[str, dict[str, float]]) -> str:
    """The two tables: which metric detects what, and the values behind it."""
    lines = ["| generator | detected by | not detected by |", "|---|---|---|"]
    for generator, values in broken.items():
        hit = [name for name in real if detects(values[name], real[name])]
        miss = [name for name in real if name not in hit]
        lines.append(f"| {generator} | {', '.join(hit) or 'nothing'} | {', '.join(miss) or 'nothing'} |")
    lines += ["", "| metric | real, mean ± deviation | " + " | ".join(broken) + " |", "|---" * (len(broken) + 2) + "|"]
    for name, sets in real.items():
        cells = [f"{v[name]:.3g}" if not detects(v[name], sets) else f"**{v[name]:.3g}**" for v in broken.values()]
        lines.append(f"| {name} | {sets.mean():.3g} ± {sets.std(ddof=1):.2g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Arguments:
    n: int = 1000
    """Images per set."""
    dataset: str = "mnist"
    """The real images: TFDS name, or path of an .npz file."""
    into: pathlib.Path | None = None
    """Markdown file with the two marks, between which the tables are written. Default: print them only."""


def main(args: list[str] | None = None) -> None:
    """Prints the tables, and writes them between the marks of a Markdown file."""
    arguments = tyro.cli(Arguments, description=__doc__, args=args)
    page = arguments.into
    if page and not all(mark in page.read_text() for mark in (BEGIN, END)):
        raise SystemExit(f"error: {page} must contain both marks, {BEGIN} and {END}")
    start = time.perf_counter()
    test, training = load(arguments.dataset, "test")[:2], load(arguments.dataset, "train")[:2]
    metrics = all_metrics(training, n=arguments.n)
    text = markdown(*measure(test, training, metrics=metrics, n=arguments.n, show=tqdm))
    print(f"{text}\n\n{time.perf_counter() - start:.0f} s")
    if page:
        before, rest = page.read_text().split(BEGIN)
        write_text(page, f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
