"""Figures over all images of a data set in shards, in one pass and in memory that does not grow with their number.

Of each batch remain: how often class i was read as j, the sum of the judge's confidence, a histogram of grey levels,
and the moments of the features, from which the Fréchet distance follows. Batches (n_b, m_b, S_b) are merged by

    n' = n + n_b,    d = m_b - m,    m' = m + d n_b / n',    S' = S + S_b + d d^T n n_b / n'

where S is the sum of (h - m)(h - m)^T. What needs neighbours is measured on a sample, drawn on the same way.

Reference: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from keras_ddpm.evaluation.judges.classifier import Judge, load_classifier
from keras_ddpm.evaluation.metrics import Pair
from keras_ddpm.evaluation.metrics.frechet import gaussian_frechet

ROWS = 1_000


class Moments:
    """Mean and covariance of features (N, D) that come in batches."""

    def __init__(self):
        self.n, self.mean, self.scatter = 0, np.float64(0), np.float64(0)

    def add(self, features: np.ndarray) -> None:
        """Merge a batch (B, D) into the moments."""
        x = np.asarray(features, "float64")
        if not len(x):
            return
        n, mean = self.n + len(x), x.mean(axis=0)
        d = mean - self.mean
        self.scatter = self.scatter + (x - mean).T @ (x - mean) + np.outer(d, d) * (self.n * len(x) / n)
        self.mean = self.mean + d * (len(x) / n)
        self.n = n

    def frechet(self, other: "Moments") -> float:
        """Squared Fréchet distance between the two Gaussians; see `metrics.frechet`."""
        covs = [moments.scatter / (moments.n - 1) for moments in (self, other)]
        return gaussian_frechet(self.mean, covs[0], mean_2=other.mean, cov_2=covs[1])


class Totals:
    """What is kept of all images.

    Args:
        judge: What knows the images; None: the shipped one, which knows MNIST.
    """

    def __init__(self, judge: Judge | None = None):
        self.judge = judge or load_classifier()
        self.confusion = np.zeros((self.judge.kind.num_classes,) * 2, "int64")
        self.confidence, self.levels, self.moments = 0.0, np.zeros(256, "int64"), Moments()

    def add(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Count a batch: uint8 (B, H, W, C) and int (B,)."""
        probabilities, features = self.judge(images)
        np.add.at(self.confusion, (labels, probabilities.argmax(axis=1)), 1)
        self.confidence += float(probabilities.max(axis=1).sum(dtype="float64"))
        self.levels += np.bincount(images.reshape(-1), minlength=256)
        self.moments.add(features)

    def accuracy(self) -> Iterator[tuple[str, float]]:
        """Yields what `metrics.accuracy` does, of all images."""
        asked, right = self.confusion.sum(axis=1), self.confusion.diagonal()
        yield "accuracy", float(right.sum() / asked.sum())
        yield "confidence", self.confidence / int(asked.sum())
        for label in np.flatnonzero(asked):
            yield f"accuracy/{label}", float(right[label] / asked[label])

    def pixels(self) -> Iterator[tuple[str, float]]:
        """Yields what `metrics.pixels` does, of all images."""
        shares, level = self.levels / self.levels.sum(), np.arange(256) / 255
        mean = float(shares @ level)
        black, white = float(shares[:10].sum()), float(shares[245:].sum())
        yield "pixel_mean", mean
        yield "pixel_std", float(np.sqrt(shares @ (level - mean) ** 2))
        yield from (("black", black), ("white", white), ("grey", 1.0 - black - white))


def read(
    batches: Iterable,
    total: int,
    *,
    sample: int,
    seed: int,
    judge: Judge | None = None,
    advance: Callable[[int], object] | None = None,
) -> tuple[Totals, np.ndarray, np.ndarray]:
    """One pass over all images.

    Args:
        batches: Of (images, labels, ...), uint8 (B, H, W, C) and int (B,).
        total: Number of all images.
        sample: How many of them to keep, chosen at random.
        seed: Seed of the choice.
        judge: See `Totals`.
        advance: Called with the number of images after each batch; None for nothing.

    Returns:
        The totals, and the sample: images uint8 (sample, H, W, C) and labels int (sample,), in their order.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(total, sample, replace=False))
    totals, images, labels, start = Totals(judge), [], [], 0
    for x, y, *_ in batches:
        totals.add(x, y)
        low, high = np.searchsorted(chosen, [start, start + len(x)])
        rows = chosen[low:high] - start
        images.append(x[rows])
        labels.append(y[rows])
        start += len(x)
        if advance:
            advance(len(x))
    return totals, np.concatenate(images), np.concatenate(labels)


def figures(totals: Totals, groups: tuple[str, ...], *, test: Pair, training: Pair, beside: dict) -> dict:
    """The figures over all images, for those groups that have some.

    Args:
        totals: Of all images.
        groups: Names from `groups.GROUPS`.
        test, training: `(images, labels)`, real, all of them.
        beside: The figures of the sample, whose real sides stay.

    Returns:
        dict from a figure's name to {"model": value, "real": value}.
    """
    found: dict[str, float] = {}
    found |= dict(totals.accuracy()) if "accuracy" in groups else {}
    found |= dict(totals.pixels()) if "pixels" in groups else {}
    values = {name: {"model": value, "real": beside[name]["real"]} for name, value in found.items() if name in beside}
    if "fid" in groups:
        reference = _moments(training[0], totals.judge)
        real = _moments(test[0], totals.judge).frechet(reference)
        values["frechet_distance_all"] = {"model": totals.moments.frechet(reference), "real": real}
    return values


def _moments(images, judge):
    moments = Moments()
    for start in range(0, len(images), ROWS):
        moments.add(judge(images[start : start + ROWS])[1])
    return moments
