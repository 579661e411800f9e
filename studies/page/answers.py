"""Answers to proposals of the report that are no comparison of drawn images."""

from typing import Any, NamedTuple

import numpy as np

from studies import attributes, augmentation, comparison, formats, privacy, study

Contents = dict[str, dict[str, Any]]
"""Name of a study -> content of its file."""
NOT_YET = "not measured yet"


class Answer(NamedTuple):
    """A proposal's row in the table of the page."""

    verdict: str = NOT_YET
    figure: str = "–"
    compute: str = "–"


def of_attributes(results: Contents) -> Answer:
    """Are all attributes drawn as asked for, and what is lost beside the digit alone?"""
    content = results["attributes"]
    rows, w = content["rows"], content["settings"]["sampling"]["w"]
    arms = comparison.groups(rows)
    compared = comparison.compare(arms[f"all w={w:g}"], arms[f"{attributes.ALONE} w={w:g}"])
    agreed = {name: attributes.correlations(rows, "all", w, name) for name in attributes.names(rows)}
    if not all(agreed.values()):
        return Answer()
    lowest = min(float(np.mean(values)) for values in agreed.values())
    said = "helps" if lowest >= 0.9 else "helps in part" if lowest >= 0.5 else "does not help"
    worse = formats.listed([figure.label for figure in compared.those(False)])
    figure = "; ".join(f"{name} r = {formats.plus_minus(values)}" for name, values in agreed.items())
    return Answer(said + (f", worse {worse}" if worse else ""), figure, "as many calls")


def of_rare_digits(results: Contents) -> Answer:
    """Do synthetic images of rare digits help, where repeating the real ones is the other way?"""
    rows, names = results["augmentation"]["rows"], ("both", "repeated and distorted")
    gain = augmentation.difference(rows, "rare", *names, "recall_of_rare")
    if gain is None:
        return Answer()
    said = {
        "better": "helps",
        "worse": "does not help: worse recall of the rare digits",
        "undecided": "undecided",
    }
    ours, theirs = (formats.spread(study.named(rows, f"rare {name} seed="), "recall_of_rare") for name in names)
    steps = f"{augmentation.EPOCHS * augmentation.STEPS_OF_GENERATOR:,} steps of a generator more"
    return Answer(said[gain.verdict], f"recall of the rare digits {ours} instead of {theirs}", steps)


def of_private_data(results: Contents) -> Answer:
    """Does a model that stands in for private images give them away?"""
    rows = results["privacy"]["rows"]
    copied, attacked = rows["copies mnist"], rows["attack mnist"]
    found = privacy.verdict(attacked)
    safe = not copied["copies"] and copied["nearer_low"] <= 0.5 and found != "above chance"
    said = "helps: nothing is given away that these attacks find" if safe else f"costs privacy: the attack is {found}"
    figure = f"copies {formats.percent(copied['copies'])}, AUC of the attack {privacy.score(attacked)}"
    return Answer(said, figure, "none beside the training")


def of_restoration(results: Contents) -> Answer:
    """Measured by a benchmark, not by a study."""
    return Answer("see [its page](restoration.md#how-good-it-is)")
