"""A report in one line: in what its images are worse than real ones by more than chance, and in what they are not."""

from keras_ddpm.evaluation import figures as names
from keras_ddpm.evaluation.page import chance

ASPECTS = {
    "accuracy": ("right digits", -1),
    "precision": ("realism", -1),
    "recall": ("variety", -1),
    "memorised_in_pixels": ("originality", 1),
}
"""From a figure to what it stands for, and the side of the real one that is worse: -1 below, 1 above."""


def verdict(report: dict) -> tuple[bool, str] | None:
    """Whether all is well, and one line that says what is and what is not.

    Args:
        report: A report's content, as `report.json` holds it.

    Returns:
        `(good, line)`; None if the report has no figure to judge by.
    """
    worse, alike = [], []
    for name, (aspect, side) in ASPECTS.items():
        if (shares := _shares(report, name)) is None:
            continue
        model, real, n = shares
        aspect, title = (names.in_words_of(report, text) for text in (aspect, names.title(name).lower()))
        values = f"{title} {names.as_text(name, model)}, real {names.as_text(name, real)}"
        if chance.beyond(chance.difference(real, report["n"], model, n)) == side:
            worse.append(f"{aspect} ({values})")
        else:
            alike.append(aspect)
    real_ones = "real digits" if names.noun(report) == "digit" else "real images"
    parts = [f"worse than {real_ones} in {', '.join(worse)}"] if worse else []
    parts += [f"like {real_ones}, as far as {report['n']} images tell, in {', '.join(alike)}"] if alike else []
    sick = bool(report.get("health", {}).get("diagnosis"))
    parts += ["the sampling chain has numerical problems"] if sick else []
    line = "; ".join(parts)
    return (not worse and not sick, f"{line[0].upper()}{line[1:]}.") if parts else None


def allowed(report: dict) -> str | None:
    """What the number of images allows to say of right classes; None if they were not counted."""
    if (shares := _shares(report, "accuracy")) is None:
        return None
    share, _, n = shares
    low, high = (names.as_text("accuracy", end) for end in chance.wilson(share, n))
    return (
        f"{names.as_text('accuracy', share)} right of {n} images allow for anything from {low} to {high} of all that "
        "could be drawn; four times as many images would about halve that range."
    )


def _shares(report, name):
    """The model's and the real share, and the number of generated images; None if the report lacks them."""
    sides, n = report["figures"].get(name, {}), chance.images_counted(report, name)
    model, real = (chance.share_of(name, sides.get(side)) for side in ("model", "real"))
    return None if model is None or real is None or n is None else (model, real, n)
