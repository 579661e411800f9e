"""Conditions: what a network is told beside the noisy image and the time.

A network's conditions are a dict from a name to a kind, such as {"label": Label(10)}. Each kind has a `null`, the value
that stands for "not given": the network embeds it as zero, so dropping an entry in training (classifier-free guidance,
arXiv 2207.12598) is replacing it by its null. How a kind is embedded stands in `networks/embeddings.py`.
"""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Label:
    """One class of several: an integer 0 ... num_classes - 1.

    Args:
        num_classes: Number of classes, at least 1.
    """

    num_classes: int

    dtype = "int32"

    def __post_init__(self):
        if self.num_classes < 1:
            raise ValueError(f"`num_classes` must be at least 1. Received: {self.num_classes}")

    @property
    def null(self) -> int:
        """The label that stands for "no class"."""
        return self.num_classes

    def check(self, values: Any, name: str) -> np.ndarray:
        """The values as an int32 array.

        Raises:
            ValueError: naming the first value that is no class.
        """
        array = np.asarray(values)
        wrong = array if array.dtype.kind not in "iu" else array[(array < 0) | (array >= self.num_classes)]
        if wrong.size:
            first = wrong.reshape(-1)[:1].tolist()[0]
            raise ValueError(f"`{name}` must be in 0..{self.num_classes - 1}, an integer. Received: {first!r:.60}")
        return array.astype("int32")


@dataclasses.dataclass(frozen=True)
class Scalar:
    """A number in a range, such as a measured attribute of the image or the w of a distilled network.

    Args:
        low, high: Ends of the range, low < high.
    """

    low: float
    high: float

    dtype = "float32"
    null = float("nan")

    def __post_init__(self):
        if not -np.inf < self.low < self.high < np.inf:
            raise ValueError(f"`low` must be less than `high`, both finite. Received: {self.low}, {self.high}")

    def check(self, values: Any, name: str) -> np.ndarray:
        """The values as a float32 array.

        Raises:
            ValueError: naming the first value that is outside the range.
        """
        array = np.asarray(values)
        numbers = array.dtype.kind in "iuf"
        wrong = array[~((array >= self.low) & (array <= self.high))] if numbers else array
        if wrong.size:
            first = wrong.reshape(-1)[:1].tolist()[0]
            raise ValueError(f"`{name}` must be in {self.low:g}..{self.high:g}. Received: {first!r:.60}")
        return array.astype("float32")


Condition = Label | Scalar
KINDS: dict[str, type[Condition]] = {"label": Label, "scalar": Scalar}


def nulls(conditions: dict[str, Condition]) -> dict[str, int | float]:
    """The null of each condition."""
    return {name: condition.null for name, condition in conditions.items()}


def to_values(conditions: dict[str, Condition]) -> dict[str, dict[str, Any]]:
    """Conditions as plain values, for a configuration."""
    names = {kind: name for name, kind in KINDS.items()}
    return {name: {"kind": names[type(c)], **dataclasses.asdict(c)} for name, c in conditions.items()}


def from_values(values: dict[str, Any]) -> dict[str, Condition]:
    """Conditions from what `to_values` returned; conditions themselves are left alone.

    Raises:
        ValueError: for an unknown kind.
    """
    return {name: _from_value(value) for name, value in values.items()}


def _from_value(value):
    if not isinstance(value, dict):
        return value
    if value.get("kind") not in KINDS:
        raise ValueError(f"The kind of a condition must be one of {sorted(KINDS)}. Received: {value!r}")
    return KINDS[value["kind"]](**{name: v for name, v in value.items() if name != "kind"})
