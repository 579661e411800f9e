"""Which metric catches which bad generator: the table in docs/evaluation.md.

    python -m keras_ddpm.evaluation.corruptions.sensitivity --into docs/evaluation.md

Real test images in disjoint sets of n give each metric a mean and a standard deviation. A bad generator is caught by
a metric whose value lies more than five of these deviations from that mean, to whichever side. The classification
accuracy score is a short one, 200 steps, and is tested on training images that no set was made from.
"""

import argparse
import pathlib
import time
from functools import partial

import numpy as np
from tqdm import tqdm

from keras_ddpm.data import load
from keras_ddpm.evaluation.corruptions.broken_generators import FROM_ANY, FROM_TRAINING
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.evaluation.metrics import bind
from keras_ddpm.whole import write_text

DEVIATIONS = 5.0
BEGIN, END = "<!-- catch: begin -->", "<!-- catch: end -->"


def bad_sets(test, training, *, n, seed=0):
    """Draws n images from every bad generator.

    Args:
        test: `(images, labels)`, real, not trained on.
        training: `(images, labels)`, trained on; the first n are the reference and are left alone.
        n: Images of each.
        seed: Of what the generators leave to chance.

    Returns:
        Dict from the generator's name to `(images, labels)`.
    """
    rng = np.random.default_rng(seed)
    x, y = test[0][:n], test[1][:n]
    x_t, y_t = training[0][n : 2 * n], training[1][n : 2 * n]
    sets = {name: bad(x, y, rng=rng) for name, bad in FROM_ANY.items()}
    return sets | {name: bad(x_t, y_t, rng=rng) for name, bad in FROM_TRAINING.items()}


def judge(images, labels, metrics):
    """Every metric's values but those of single digits, as one dict."""
    pairs = [pair for metric in metrics.values() for pair in metric(images, labels)]
    return {name: value for name, value in pairs if "/" not in name}


def caught(value, real):
    """Whether a value is not among those of real images, (sets,)."""
    spread = max(np.std(real, ddof=1), 1e-6 * abs(np.mean(real)), 1e-9)
    return bool(abs(value - np.mean(real)) > DEVIATIONS * spread)


def all_metrics(training, *, n):
    """The cheap metrics and a short classification accuracy score.

    Args:
        training: `(images, labels)`; the first n are the reference, what comes after the first 2n tests the score.
        n: Images a set.

    Returns:
        Dict from group to metric.
    """
    images, labels = training
    score = partial(classification_accuracy_score, test=(images[2 * n :][:5000], labels[2 * n :][:5000]), steps=200)
    return bind(reference=(images[:n], labels[:n]), training=images) | {"classification_accuracy_score": score}


def measure(test, training, *, metrics, n, show=lambda sets: sets):
    """Judges sets of real test images and every bad generator.

    Args:
        test: `(images, labels)`.
        training: `(images, labels)`.
        metrics: Dict from group to metric.
        n: Images a set; `test` must hold at least three sets.
        show: Wraps what is iterated over, to show progress.

    Returns:
        `(real, bad)`: dict from a metric's name to its values over the real sets, and dict from a generator's name to
        a dict from the metric's name to its value.
    """
    starts = range(0, len(test[0]) - n + 1, n)
    if len(starts) < 3:
        raise ValueError(f"`n` must leave at least 3 sets of the {len(test[0])} test images. Received: {n}")
    sets = {f"real {i}": (test[0][i : i + n], test[1][i : i + n]) for i in starts}
    values = {name: judge(x, y, metrics) for name, (x, y) in show((sets | bad_sets(test, training, n=n)).items())}
    real = [values.pop(name) for name in sets]
    return {name: np.array([r[name] for r in real]) for name in real[0]}, values


def markdown(real, bad):
    """The two tables: who catches what, and the figures behind it."""
    lines = ["| generator | caught by | not caught by |", "|---|---|---|"]
    for generator, values in bad.items():
        hit = [name for name in real if caught(values[name], real[name])]
        miss = [name for name in real if name not in hit]
        lines.append(f"| {generator} | {', '.join(hit) or 'nothing'} | {', '.join(miss) or 'nothing'} |")
    lines += ["", "| metric | real, mean ± deviation | " + " | ".join(bad) + " |", "|---" * (len(bad) + 2) + "|"]
    for name, values in real.items():
        cells = [f"{v[name]:.3g}" if not caught(v[name], values) else f"**{v[name]:.3g}**" for v in bad.values()]
        lines.append(f"| {name} | {values.mean():.3g} ± {values.std(ddof=1):.2g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv=None):
    """Prints the tables, or writes them between the marks of a Markdown file."""
    parser = argparse.ArgumentParser(prog="python -m keras_ddpm.evaluation.corruptions.sensitivity", description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--dataset", default="mnist", help="a TFDS name, or a .npz file")
    parser.add_argument("--into", help="a Markdown file with the two marks; printed if not given")
    args = parser.parse_args(argv)
    page = pathlib.Path(args.into) if args.into else None
    if page and not all(mark in page.read_text() for mark in (BEGIN, END)):
        raise SystemExit(f"error: {args.into} has not both marks, {BEGIN} and {END}")
    start = time.perf_counter()
    test, training = load(args.dataset, "test")[:2], load(args.dataset, "train")[:2]
    metrics = all_metrics(training, n=args.n)
    text = markdown(*measure(test, training, metrics=metrics, n=args.n, show=tqdm))
    print(f"{text}\n\n{time.perf_counter() - start:.0f} s")
    if page:
        before, rest = page.read_text().split(BEGIN)
        write_text(page, f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
