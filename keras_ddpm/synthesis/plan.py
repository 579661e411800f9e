"""The plan of a data set: from the place of an image to its digit and its seed.

    seed_j = first seed + j
    digit_j = the class in whose interval of [0, n) lies  j A mod n

The intervals have the lengths of the classes' counts, which are exact for the whole data set. A is about n divided by
the golden ratio and has no factor in common with n, so each place of [0, n) is met once, and any run of images has
nearly the proportions of the whole.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from keras_ddpm.shards import manifest
from keras_ddpm.shards.formats import FORMATS

MOST = 2**31
"""Images of a data set: j A stays below 2^63."""
MOST_SHARDS = 99_999
GOLDEN = (math.sqrt(5) - 1) / 2
ADDED = {"temperature": 1.0}
"""Settings that older manifests lack, as they were then."""
NOT_SETTINGS = ("preset", "judge")  # where something lies on this machine; hashes tell what it is


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is drawn, checked. `api.plan` makes it.

    Args:
        n: Number of images that are drawn.
        shard_size: Images drawn for a shard, N.
        format: One of `FORMATS`.
        preset: Name or folder of the preset.
        name: The preset's name.
        weights: SHA-256 of its weights.
        image_shape: (H, W, C).
        proportions: Share of each class; they sum to 1.
        w: Guidance of each class.
        sampler, steps: Of the preset, or those that replace its own.
        temperature: Of the preset.
        seed: The first.
        batch: Images of every call of the generator. The last of a shard is filled up, so that there is one shape.
        runtime: None for Keras, or one of `runtimes.ENGINES`.
        min_confidence: The judge's smallest probability of an image's class; None for no such filter.
        judge, judge_weights: Folder of the judge, None for the shipped one, and the SHA-256 of its weights.
        min_distance: Smallest distance from the nearest training image; None for no such filter.
        dataset: The training images.
    """

    n: int
    shard_size: int
    format: str
    preset: str
    name: str
    weights: str
    image_shape: tuple[int, ...]
    proportions: tuple[float, ...]
    w: tuple[float, ...]
    sampler: str
    steps: int
    seed: int
    batch: int
    runtime: str | None
    min_confidence: float | None
    judge: str | None
    judge_weights: str | None
    min_distance: float | None
    dataset: str
    temperature: float = 1.0

    @property
    def shards(self) -> int:
        """Number of shards; the last may be smaller."""
        return -(-self.n // self.shard_size)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.proportions)

    def place(self, i: int) -> str:
        """The place of shard i, as in its file's name."""
        return manifest.place(i, self.shards)

    def file(self, i: int) -> str:
        """Name of the file of shard i."""
        return FORMATS[self.format].template.format(place=self.place(i))

    def rows(self, i: int) -> tuple[int, int]:
        """The images of shard i: from, and up to."""
        return i * self.shard_size, min((i + 1) * self.shard_size, self.n)

    def digits(self, places: np.ndarray) -> np.ndarray:
        """The digit of each place in the data set: int64 (B,), of int64 (B,) in 0 ... n - 1."""
        ends = np.cumsum(counts(self.n, self.proportions))
        return np.searchsorted(ends, places * stride(self.n) % self.n, side="right").astype("int64")

    def settings(self) -> dict[str, Any]:
        """What a manifest says of the plan: all that the images depend on."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if name not in NOT_SETTINGS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def counts(n: int, proportions: tuple[float, ...]) -> np.ndarray:
    """Images of each class, int64, which sum to n: the shares rounded down, and one more for the largest remainders."""
    exact = n * np.asarray(proportions, "float64")
    whole = np.floor(exact + 1e-9).astype("int64")
    largest = np.argsort(whole - exact, kind="stable")[: n - whole.sum()]
    whole[largest] += 1
    return whole


def stride(n: int) -> int:
    """A: the number nearest to n times the golden ratio, from above, that has no factor in common with n."""
    A = max(1, round(n * GOLDEN))
    while math.gcd(A, n) != 1:
        A += 1
    return A


def check_proportions(proportions: Any, num_classes: int) -> tuple[float, ...]:
    """The share of each class; None for equal ones.

    Raises:
        ValueError: unless there is one for each class, none is negative, and they sum to 1.
    """
    if proportions is None:
        return (1 / num_classes,) * num_classes
    shares = np.asarray(proportions, "float64")
    if shares.shape != (num_classes,) or not np.all(np.isfinite(shares)) or np.any(shares < 0):
        raise ValueError(
            f"`proportions` must be {num_classes} numbers, at least 0, one for each class. Received: {proportions}"
        )
    if abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"`proportions` must sum to 1. Received: {proportions}, which sum to {shares.sum():g}")
    return tuple(shares.tolist())
