"""The claims of the report, each beside what we measured: a function of the other studies' results.

A claim's verdict is computed from the figures, so it changes when they do.
"""

import dataclasses
from collections.abc import Callable

from studies import guidance, study


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        claim: What the report says, with its figure.
        reproduced: Function of the results -> what we found with its configuration, as text.
        default: The same for the default model; None where it has no counterpart.
        holds: Function of the results -> "yes", "no", "in part" or "not comparable".
        study: Name of the study that measured it.
    """

    claim: str
    reproduced: Callable
    default: Callable | None
    holds: Callable
    study: str


def _seeds(results, study_name, start):
    rows = study.named(results[study_name]["rows"], start)
    if not rows:
        raise KeyError(start)
    return rows


def _range(values):
    """Smallest to largest of the values that are there, as text."""
    there = [100 * value for value in values if value is not None]
    if not there:
        return "never"
    low, high = f"{min(there):.0f}", f"{max(there):.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _from(values):
    """From which share on, as text."""
    found = _range(values)
    return found if found == "never" else f"from {found} on"


def _gone(results, model):
    return [row["forward"]["values"]["gone_at"] for row in _seeds(results, "recognition", f"{model} seed")]


def _readable(results, model, digits=None, process="reverse"):
    rows = _seeds(results, "recognition", f"{model} seed")
    names = ["readable_at"] if digits is None else [f"readable_at/{digit}" for digit in digits]
    return [row[process]["values"][name] for row in rows for name in names]


def _within(values, low, high):
    """Whether all values, some or none are in an interval."""
    inside = [value is not None and low <= value <= high for value in values]
    return "yes" if all(inside) else "in part" if any(inside) else "no"


def _both(one, other):
    """The verdict on a claim of two parts."""
    return one if one == other else "in part"


def _figure(results, study_name, start, figure):
    return study.spread(_seeds(results, study_name, start), figure)[0]


def _row(results, name, study_name="configuration"):
    return results[study_name]["rows"][name]


def _eval(results):
    return [row for row in _row(results, "report w=3")["log"] if row.get("eval_accuracy") is not None]


def _losses(results):
    return [row["val_loss"] for row in _row(results, "report w=3")["log"]]


def _cosine(results):
    row = _row(results, "cosine eps none", "schedules")
    return max(m for m, t in zip(row["mu_largest"], row["steps"]) if t >= 50), max(
        m for m, t in zip(row["mu_largest"], row["steps"]) if t < 50
    )


def _best_w(results):
    """The w with the smallest Fréchet distance."""
    return min(guidance.WS, key=lambda w: _figure(results, "guidance", f"w={w:g} ", "frechet_distance"))


def _cost(row):
    return f"{row['calls']} calls, {10 * row['seconds']:.2g} s for ten images at the rate of a large batch"


def _siblings(results, w):
    return (
        _figure(results, "guidance", f"w={w} ", "nearest_sibling")
        / _row(results, "real", "guidance")["nearest_sibling"]
    )


CLAIMS = [
    Claim(
        "the loss falls from 0.08 to 0.01 by epoch 30, then it is flat",
        lambda r: f"validation loss {_losses(r)[0]:.3f} after epoch 1, {_losses(r)[-1]:.3f} after {len(_losses(r))}",
        None,
        lambda r: "yes" if _losses(r)[-1] <= 0.015 else "no",
        "configuration",
    ),
    Claim(
        "vague shapes at epochs 3 to 5, coarse at 8 to 12, still blobs at 30",
        lambda r: (
            "right digit "
            + ", ".join(f"{100 * row['eval_accuracy']:.0f} % (epoch {row['epoch'] + 1:.0f})" for row in _eval(r))
        ),
        lambda r: f"right digit {100 * _figure(r, 'guidance', 'default', 'accuracy'):.1f} %",
        lambda r: "in part" if _eval(r)[-1]["eval_accuracy"] < 0.9 else "no",  # no figure says how vague it is when
        "configuration",
    ),
    Claim(
        "with the cosine schedule means explode past step 50",
        lambda r: "largest absolute mean {:.3g} in the first 50 steps, {:.3g} after them".format(*_cosine(r)),
        lambda r: (
            "cosine, v and clipped x_0: largest absolute mean "
            f"{max(_row(r, 'cosine v static', 'schedules')['mu_largest']):.2g}"
        ),
        lambda r: "no" if max(_cosine(r)) < 10 else "yes" if _cosine(r)[0] < 10 else "in part",
        "schedules",
    ),
    Claim(
        "guidance: w = 0 draws diverse wrong digits, 3 is a balance",
        lambda r: (
            "default model: right digit "
            + ", ".join(f"{100 * _figure(r, 'guidance', f'w={w} ', 'accuracy'):.0f} % at w = {w}" for w in (0, 1, 3))
            + f"; smallest Fréchet distance at w = {_best_w(r):g}"
        ),
        None,
        lambda r: _both(
            "yes" if _figure(r, "guidance", "w=0 ", "accuracy") < 0.2 else "no",
            "yes" if _best_w(r) == 3 else "no",
        ),
        "guidance",
    ),
    Claim(
        "guidance: above w = 7 samples are nearly identical",
        lambda r: (
            "default model: distance to the nearest sibling, real digits' = 1: "
            + ", ".join(f"{_siblings(r, w):.2f} at w = {w}" for w in (1, 3, 7, 10))
        ),
        None,
        lambda r: "yes" if _siblings(r, 10) < 0.5 else "in part" if _siblings(r, 10) < 0.8 else "no",
        "guidance",
    ),
    Claim(
        "a classifier's accuracy falls to chance at 50 to 60 % of the noise steps",
        lambda r: f"at 0.2 or less: {_from(_gone(r, 'report'))}",
        lambda r: _from(_gone(r, "default")),
        lambda r: _within(_gone(r, "report"), 0.5, 0.6),
        "recognition",
    ),
    Claim(
        "digits are recognisable at 70 to 80 % of the denoising",
        lambda r: f"x_t: {_from(_readable(r, 'report'))}",
        lambda r: (
            f"x_t: {_from(_readable(r, 'default'))}; "
            f"the estimate of x_0: {_from(_readable(r, 'default', process='estimate'))}"
        ),
        lambda r: _within(_readable(r, "report"), 0.7, 0.8),
        "recognition",
    ),
    Claim(
        "1 and 7 earlier (60 to 65 %) than 2 and 8 (75 to 80 %)",
        lambda r: (
            f"1 and 7: {_range(_readable(r, 'report', (1, 7)))}; 2 and 8: {_range(_readable(r, 'report', (2, 8)))}"
        ),
        lambda r: (
            f"1 and 7: {_range(_readable(r, 'default', (1, 7)))}; 2 and 8: {_range(_readable(r, 'default', (2, 8)))}"
        ),
        lambda r: _both(
            _within(_readable(r, "report", (1, 7)), 0.6, 0.65), _within(_readable(r, "report", (2, 8)), 0.75, 0.8)
        ),
        "recognition",
    ),
    Claim(
        "T = 100 instead of 1000 steps costs 3 % of “photo”",
        lambda r: (
            f"its network, 100 steps each: photo {100 * _row(r, 'its_configuration w=3')['photo']:.0f} % at T = 100, "
            f"{100 * _row(r, 'T1000 w=3')['photo']:.0f} % at T = 1000 (our own small CLIP)"
        ),
        None,
        lambda r: "not comparable",  # its figures are of OpenAI's CLIP
        "configuration",
    ),
    Claim(
        "without a time embedding all is blurry",
        lambda r: (
            f"mended model: right digit {100 * _row(r, 'all_v w=3', 'ablations')['accuracy']:.0f} % with, "
            f"{100 * _row(r, 'no_time w=3', 'ablations')['accuracy']:.0f} % without; Fréchet distance "
            f"{_row(r, 'all_v w=3', 'ablations')['frechet_distance']:.2g} and "
            f"{_row(r, 'no_time w=3', 'ablations')['frechet_distance']:.2g}"
        ),
        None,
        lambda r: (
            "yes"
            if _row(r, "no_time w=3", "ablations")["blurry"] > _row(r, "all_v w=3", "ablations")["blurry"] + 0.1
            else "no"
        ),
        "ablations",
    ),
    Claim(
        "100 to 1000 network calls, seconds for a batch",
        lambda r: (
            f"a thin model, 100 steps of DDPM: {_cost(_row(r, 'ddpm 100 seed=0', 'steps'))}; 1000 steps: "
            f"{_cost(_row(r, 'ddpm 1000 seed=0', 'steps'))}; 20 steps of its own sampler: "
            f"{_cost(_row(r, 'dpm_solver_pp_2m_sde 20 seed=0', 'steps'))}"
        ),
        None,
        lambda r: _both(
            "yes" if 100 <= _row(r, "ddpm 100 seed=0", "steps")["calls"] <= 1000 else "no",
            "yes" if 1 <= 10 * _row(r, "ddpm 1000 seed=0", "steps")["seconds"] < 60 else "no",  # for ten images
        ),
        "steps",
    ),
]


def table(results: dict[str, dict]) -> list[dict[str, str]]:
    """The claims as rows of text: claim, its configuration's figure, the default's, whether it holds, command.

    Args:
        results: Dict from a study's name to its file's content.

    Returns:
        List of dicts.
    """
    return [
        {
            "claim": claim.claim,
            "reproduced": _text(claim.reproduced, results),
            "default": _text(claim.default, results) if claim.default else "",
            "holds": _text(claim.holds, results),
            "command": f"python -m studies.{claim.study}",
        }
        for claim in CLAIMS
    ]


def _text(function, results):
    """What a claim's function returns, or that its rows are not measured yet."""
    try:
        return function(results)
    except (KeyError, IndexError):
        return "not measured yet"
