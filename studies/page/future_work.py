"""What helps of what the report left as future work: the figures and verdicts of docs/future_work.md.

A verdict is computed from the figures, so it changes when they do. What has no rows yet is "not measured yet", and a
study of which two seeds are done shows these.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from studies import attributes, comparison, formats, study
from studies.comparison import QUALITY, Group, compare, groups
from studies.page import proposals
from studies.page.answers import Answer, Contents
from studies.page.proposals import PROPOSALS, Proposal


class Compared(NamedTuple):
    """Two arms as they are called, and their comparison."""

    ours: str
    theirs: str
    comparison: comparison.Comparison


def answer(results: Contents, proposal: Proposal) -> Answer:
    """The row of a proposal in the page's table.

    Args:
        results: Dict from a study's name to its file's content.
        proposal: `Proposal`.
    """
    if proposal.answer is not None:
        try:
            return proposal.answer(results)
        except KeyError:
            return Answer()
    found = compared(results, proposal, *proposal.pairs[0])
    if found is None:
        return Answer()
    figure = f"{found.ours}, compared with {found.theirs}: {found.comparison.headline}"
    return Answer(found.comparison.verdict, figure, found.comparison.compute)


def lines(results: Contents, proposal: Proposal) -> list[dict[str, Any]]:
    """The table of a proposal: its arms that are measured, in order, and as many real images."""
    there = groups(results[proposal.study]["rows"])
    names = [name for arm in (*proposal.arms, "real") for name in matching(there, arm)]
    return [
        {
            "arm": proposal.labels.get(name, name),
            "seeds": len(there[name]),
            "figures": [figure.spread(there[name]) for figure in QUALITY],
            "compute": "" if name == "real" else comparison.amount(cost(results, proposal, name), proposal.unit),
        }
        for name in names
    ]


def comparisons(results: Contents, proposal: Proposal) -> list[Compared]:
    """The pairs of a proposal that are measured."""
    found = [compared(results, proposal, *pair) for pair in proposal.pairs]
    return [one for one in found if one is not None]


def compared(results: Contents, proposal: Proposal, ours: str, theirs: str) -> Compared | None:
    """The best arms that two names stand for, compared; None if one is not measured.

    The best of several is chosen by the rows that are compared, so the interval allows for as many comparisons as there
    were arms to choose from (Bonferroni).
    """
    there = groups(results[proposal.study]["rows"])
    choices = [matching(there, arm) for arm in (ours, theirs)]
    if not all(choices):
        return None
    ours, theirs = (best(there, arm) for arm in (ours, theirs))
    like = []
    if proposal.like is not None and proposal.like not in ((proposal.study, ours), (proposal.study, theirs)):
        other, arm = proposal.like
        like = [group for name, group in groups(results[other]["rows"]).items() if name == arm]
    costs = (cost(results, proposal, ours), cost(results, proposal, theirs))
    level = 1 - 0.05 / max(map(len, choices))
    found = compare(there[ours], there[theirs], like=like, costs=costs, unit=proposal.unit, level=level)
    return Compared(proposal.labels.get(ours, ours), proposal.labels.get(theirs, theirs), found)


def matching(there: dict[str, Group], arm: str) -> list[str]:
    """Names of the arms that a name stands for: those that begin so, if it ends in *."""
    if arm.endswith("*"):
        return [name for name in there if name.startswith(arm[:-1])]
    return [arm] if arm in there else []


def best(there: dict[str, Group], arm: str) -> str:
    """The matching arm with the smallest mean Fréchet distance."""
    return min(matching(there, arm), key=lambda name: study.spread(list(there[name].values()), "frechet_distance")[0])


def cost(results: Contents, proposal: Proposal, arm: str) -> float | None:
    """What an arm costs, in the proposal's unit; None if that is not recorded."""
    rows = groups(results[proposal.study]["rows"])[arm].values()
    try:
        costs = [proposal.cost(results, arm, row) for row in rows]
    except KeyError:
        return None
    return float(np.mean([cost for cost in costs if cost is not None])) if any(costs) else None


def attribute_lines(results: Contents) -> list[dict[str, Any]]:
    """The table of attributes: for each w, what is asked for, and how it is drawn."""
    rows = results["attributes"]["rows"]
    there, known = groups(rows), attributes.names(rows)
    asks = [(arm, *arm.split(" w=")) for arm in there if arm != "real"]
    return [
        {
            "ask": ask,
            "w": w,
            "agreed": {
                name: formats.plus_minus(attributes.correlations(rows, ask, float(w), name))
                for name in known
                if ask in (name, "all")
            },
            "figures": [figure.spread(there[arm]) for figure in QUALITY],
            "comparison": compare(there[arm], there[f"{attributes.ALONE} w={w}"])
            if ask != attributes.ALONE and f"{attributes.ALONE} w={w}" in there
            else None,
        }
        for arm, ask, w in asks
    ]


# Which combination beats the default model?


class Tried(NamedTuple):
    """What a study tried that costs no more than its model as it is drawn by default, to 5 %."""

    study: str
    default: str
    """Name of its arm."""
    cost: float
    unit: str
    arms: list[str]
    """What costs no more, with two seeds at least."""
    better: dict[str, list[str]]
    """Arm -> labels of the figures that are better, of those that are worse in none."""
    cheaper: dict[str, float]
    """Arm -> cost, of those that are cheaper by a fifth at least, and worse in no figure beyond its margin."""


DEFAULTS = {
    "steps": ("steps", proposals.own_arm),
    "guidance": ("guidance", lambda results: "default"),
    "autoguidance": ("autoguidance", proposals.default_guidance),
    "clip_guidance": ("clip_guides", lambda results: "no guide"),
}
"""Key of the proposal that says what arms cost -> its study, and the arm that draws as its model does by default."""


def combinations(results: Contents) -> list[Tried]:
    """All that was tried with a trained model, by study, beside the same model as it is drawn by default.

    So many arms are compared with one that some would seem better by chance. How much seeds differ is therefore taken
    from all arms together, and what is better must be so beyond an interval that allows for all comparisons of a study
    (Bonferroni). What is worse need not.
    """
    tried = []
    for key, (name, default) in DEFAULTS.items():
        there = groups(results[name]["rows"])
        if not there:
            continue
        base, proposal = default(results), PROPOSALS[key]
        if len(there.get(base, {})) > 1 and (limit := cost(results, proposal, base)) is not None:
            costs = {arm: cost(results, proposal, arm) for arm, group in there.items() if len(group) > 1}
            affordable = {arm: value for arm, value in costs.items() if value is not None and value <= 1.05 * limit}
            twice = [arm for arm in affordable if arm.removeprefix("one ") in there and arm.startswith("one ")]
            affordable = {arm: value for arm, value in affordable.items() if arm not in (base, "real", *twice)}
            tried.append(_beside(there, base, limit, affordable, name, proposal.unit))
    return tried


def _beside(there, base, limit, costs, name, unit):
    better: dict[str, list[str]] = {arm: [] for arm in costs}
    worse, doubtful = set(), set()
    strict = 1 - 0.05 / max(1, len(costs) * len(QUALITY))
    for figure in QUALITY:
        values = {arm: figure.values(there[arm]) for arm in (*costs, base)}
        for arm in costs:
            like = [others for other, others in values.items() if other not in (arm, base)]
            pair = (values[arm], values[base], like)
            found = comparison.pooled(*pair)
            if figure.good(comparison.pooled(*pair, level=strict)):
                better[arm].append(figure.label)
            elif figure.good(found) is False:
                worse.add(arm)
            elif found is None or not figure.alike(found, there[base]):
                doubtful.add(arm)
    good = {arm: labels for arm, labels in better.items() if labels and arm not in worse}
    cheaper = {arm: cost for arm, cost in costs.items() if cost < 0.8 * limit and arm not in worse | doubtful}
    return Tried(name, base, limit, unit, list(costs), good, cheaper)


def missing(results: Contents) -> list[str]:
    """Titles of the proposals that are not measured yet."""
    return [proposal.title for proposal in PROPOSALS.values() if answer(results, proposal) == Answer()]


def beaten(tried: Sequence[Tried]) -> str:
    """Which combination beats the default model at equal or lower cost, in a sentence."""
    if not tried:
        return "Not measured yet."
    found = [f"{arm} ({formats.listed(labels)})" for one in tried for arm, labels in one.better.items()]
    count = sum(len(one.arms) for one in tried)
    return (
        f"Of {count} settings tried, these do: {formats.listed(found)}." if found else f"None does, of {count} tried."
    )
