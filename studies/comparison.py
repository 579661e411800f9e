"""Is one arm of a study better than another, by more than seeds differ?

Arms with the same seeds are paired by them. Student's t says how far the mean of a few differences may be from the true
one; an arm is better or worse if that 95 % interval does not contain 0. If it lies within a margin on both sides of 0,
the arms are alike; otherwise the question is open. An arm that was measured with one seed is compared by how much seeds
differ in other arms.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from studies import formats, study

Values = Mapping[int, float]
"""Seed -> figure."""
Group = dict[int, study.Figures]
"""Seed -> the row of an arm."""
SAME = 1e-9
MARGIN, RELATIVE = 3.0, 0.15
"""Arms are alike within so many points of a share, or this part of a Fréchet distance."""
TIME = "ms an image"


class Difference(NamedTuple):
    """Difference of two arms: mean, standard deviation over the seeds, interval of the mean, of 95 % if not said."""

    mean: float
    std: float
    low: float
    high: float

    def __str__(self):
        return f"{self.mean:+.1f} ± {self.std:.1f}"

    @property
    def verdict(self) -> str:
        """Whether the first arm has more than the second: "better", "worse", or "undecided" within the interval."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def paired(ours: Values, theirs: Values, *, level: float = 0.95) -> Difference | None:
    """What one arm has more than another, over the seeds that both have.

    None if these are fewer than two, or all differ alike: few images move in steps, and equal steps say nothing of how
    much seeds differ.
    """
    gains = np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])
    if len(gains) < 2 or np.ptp(gains) < SAME:
        return None
    return _student(gains.mean(), gains.std(ddof=1), len(gains) - 1, 1 / len(gains), level)


def pooled(ours: Values, theirs: Values, like: Sequence[Values] = (), *, level: float = 0.95) -> Difference | None:
    """The same without pairs: how much seeds differ is taken from both arms and from others that are like them.

    Args:
        ours, theirs: At least one seed each.
        like: Of arms in which seeds should differ as much.
        level: Of the interval.

    Returns:
        Difference; None if no arm has two seeds, or none has two that differ.
    """
    arms = [np.array(list(arm.values())) for arm in (ours, theirs, *like)]
    freedom = sum(len(arm) - 1 for arm in arms)
    if freedom < 1:
        return None
    std = np.sqrt(sum(((arm - arm.mean()) ** 2).sum() for arm in arms) / freedom)
    if std < SAME:
        return None
    return _student(arms[0].mean() - arms[1].mean(), std, freedom, 1 / len(ours) + 1 / len(theirs), level)


def _student(mean, std, freedom, share, level):
    half = stats.t.ppf((1 + level) / 2, freedom) * std * np.sqrt(share)
    return Difference(float(mean), float(std), float(mean - half), float(mean + half))


class Quality(NamedTuple):
    """A figure of drawn images: its names in rows and in sentences, whether it is a share, whether more is better."""

    name: str
    label: str
    share: bool = True
    more: bool = True

    def values(self, arm: Group) -> Values:
        """Seed -> figure, in points or as it is, where it is known."""
        scale = 100 if self.share else 1
        return {seed: scale * row[self.name] for seed, row in arm.items() if row.get(self.name) is not None}

    def spread(self, arm: Group) -> str:
        """Mean and standard deviation over the seeds as text."""
        return formats.spread(list(arm.values()), self.name, share=self.share)

    def text(self, found: Difference) -> str:
        """A difference and its interval as text."""
        digits, unit = (1, " points") if self.share else (2, "")
        return f"{found.mean:+.{digits}f}{unit} ({found.low:.{digits}f} to {found.high:.{digits}f})"

    def alike(self, found: Difference, theirs: Group) -> bool:
        """Whether the interval of a difference lies within the margin."""
        margin = MARGIN if self.share else RELATIVE * float(np.mean(list(self.values(theirs).values())))
        return -margin <= found.low and found.high <= margin

    def good(self, found: Difference | None) -> bool | None:
        """Whether the first arm is better; None if that is undecided, or there is no difference to tell by."""
        return None if found is None or found.verdict == "undecided" else (found.verdict == "better") == self.more


QUALITY = (Quality("accuracy", "right digit"), Quality("frechet_distance", "Fréchet distance", False, False))
QUALITY += (Quality("recall", "recall"),)


class Comparison(NamedTuple):
    """One arm beside another: what differs, and what it costs."""

    ours: Group
    theirs: Group
    found: dict[Quality, Difference | None]
    costs: tuple[float | None, float | None]
    """Of each, where it is known."""
    unit: str
    """Of the costs, such as "calls"."""

    def those(self, good: bool | None) -> list[Quality]:
        """The figures that are better (True), worse (False), or undecided (None)."""
        return [figure for figure, found in self.found.items() if found and figure.good(found) is good]

    @property
    def verdict(self) -> str:
        """Whether the first arm helps, and what it costs, computed from the figures."""
        if not any(self.found.values()):
            return "one seed: no verdict"
        better, worse = (formats.listed([figure.label for figure in self.those(good)]) for good in (True, False))
        ratio = self.costs[0] / self.costs[1] if self.costs[0] and self.costs[1] else 1.0
        price = "" if 0.8 <= ratio <= 1.25 else f"{_times(ratio)} the {'time' if self.unit == TIME else self.unit}"
        if better and worse:
            said = f"mixed: better {better}, worse {worse}"
        elif better:
            said = f"helps: better {better}"
        elif worse:
            said = f"mixed: worse {worse}" if ratio < 0.8 else f"does not help: worse {worse}"
        elif all(figure.alike(found, self.theirs) for figure, found in self.found.items() if found):
            said = "helps: as good" if ratio < 0.8 else "does not help: no difference"
        else:
            said = "undecided"
        said += f", {price}" if price else ""
        seeds = min(len(self.ours), len(self.theirs))
        return said + (f" ({seeds} of {study.SEEDS} seeds)" if seeds < study.SEEDS else "")

    @property
    def lost(self) -> str:
        """What the first arm is worse in."""
        return formats.listed([figure.label for figure in self.those(False)]) or "nothing beyond what seeds differ"

    @property
    def headline(self) -> str:
        """The figures that differ, or the Fréchet distances, each with its spread over the seeds."""
        decided = [*self.those(True), *self.those(False)] or [QUALITY[1]]
        return "; ".join(f"{f.label} {f.spread(self.ours)} instead of {f.spread(self.theirs)}" for f in decided)

    @property
    def compute(self) -> str:
        """What both cost, as text."""
        ours, theirs = (amount(cost, self.unit) for cost in self.costs)
        return ours if ours == theirs else f"{ours} instead of {theirs}"


def amount(cost: float | None, unit: str) -> str:
    """A cost with its unit as text."""
    if cost is None:
        return "–"
    if cost >= 1e6:
        return f"{formats.number(cost / 1e6)} million {unit}"
    return f"{cost:,.0f} {unit}" if cost >= 100 else f"{formats.number(cost)} {unit}"


def _times(ratio):
    """A ratio as text, before "the calls": 0.25 is "1/4 of"."""
    return f"1/{formats.number(1 / ratio, 2)} of" if ratio < 1 else f"{formats.number(ratio, 2)} times"


def compare(
    ours: Group,
    theirs: Group,
    *,
    like: Sequence[Group] = (),
    costs: tuple[float | None, float | None] = (None, None),
    unit: str = "",
    level: float = 0.95,
) -> Comparison:
    """Compare two arms.

    Args:
        ours, theirs: Seed -> row of the arm with the idea, and of the one without it.
        like: Arms that say how much seeds differ, where an arm has one seed.
        costs: Cost of each, where it is known.
        unit: Of the costs.
        level: Of the intervals.
    """
    found: dict[Quality, Difference | None] = {}
    for figure in QUALITY:
        one, other = figure.values(ours), figure.values(theirs)
        if one and other:
            likes = [figure.values(arm) for arm in like]
            found[figure] = paired(one, other, level=level) or pooled(one, other, likes, level=level)
    return Comparison(ours, theirs, found, costs, unit)


def groups(rows: Mapping[str, study.Figures]) -> dict[str, Group]:
    """The rows of drawn images, by arm and seed; a name without a seed has the seed 0."""
    found: dict[str, Group] = {}
    for name, row in rows.items():
        arm, _, seed = name.partition(" seed=")
        if "frechet_distance" in row:
            found.setdefault(arm, {})[int(seed or 0)] = row
    return found
