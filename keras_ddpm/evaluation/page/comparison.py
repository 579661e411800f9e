"""Two reports side by side, as text and as a page. Reads their content only, and needs neither Keras nor TensorFlow."""

from keras_ddpm.evaluation import figures as names
from keras_ddpm.evaluation.page import chance, report_page

CHANCE = (
    "Better and worse: beyond what other seeds would change, by the 95 % interval of the difference of two shares. "
    "About one equal share in twenty looks different by chance. Nearer and further: figures without an interval, whose "
    "difference may be chance."
)
HIGHER_IS_BETTER = ("accuracy", "precision", "recall", "coverage", "clip/zero_shot", "classification_accuracy_score")
ANY_COUNT = ("accuracy", "clip/zero_shot", "classification_accuracy_score")  # other figures change with n
NEITHER = ("confidence",)  # says little on its own


def rows(a: dict, b: dict) -> list[list[str]]:
    """Each figure of two reports: its name, A's, B's, the real images' (A's / B's if they differ), and what B is.

    Args:
        a, b: Contents of reports, as `report.json` holds them.

    Returns:
        Five texts for each figure that either report has, without single classes.
    """
    return [[row["title"], row["a"], row["b"], row["real"], row["text"]] for row in differences(a, b)]


def differences(a: dict, b: dict) -> list[dict[str, str]]:
    """Each figure of two reports, how far apart they are, and which is better.

    Args:
        a, b: Contents of reports, as `report.json` holds them.

    Returns:
        For each figure that either report has, without single classes, a dict of texts: `title`, `a`, `b`, `real`;
        `difference`, B - A; `chance`, its 95 % interval, of shares only; `mark`, what B is: "better" or "worse",
        "nearer" or "further" from the real value for figures without an interval, or nothing; `text`, in words.
    """
    sides = names.all_figures(a), names.all_figures(b)
    return [_difference(name, (a, b), sides) for name in names.FIGURES if name in sides[0] or name in sides[1]]


def _difference(name, reports, sides):
    """A row of `differences`."""
    left, right = (side.get(name, {}).get("model") for side in sides)
    real = [side[name]["real"] for side in sides if name in side]
    row = {
        "title": names.in_words_of(reports[0], names.title(name)),
        "a": names.as_text(name, left),
        "b": names.as_text(name, right),
    }
    row |= {"real": " / ".join(dict.fromkeys(names.as_text(name, value) for value in real))}
    row |= {"difference": "", "chance": "", "mark": "", "text": ""}
    if left is None or right is None:
        return row
    shares = [chance.share_of(name, value) for value in (left, right)]
    counts = [chance.images_counted(report, name) for report in reports]
    row["difference"] = names.difference_as_text(name, right - left)
    if not _comparable(name, *reports):
        return row | {"text": "not comparable"}
    if None in counts or None in shares:
        return row | _nearer(name, (left, right), real)
    interval = chance.difference(shares[0], counts[0], shares[1], counts[1])
    row["chance"] = f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
    up = name in HIGHER_IS_BETTER or name.rpartition("/")[0] in HIGHER_IS_BETTER
    beyond = chance.beyond(interval) * (1 if up else -1)
    row["mark"] = {1: "better", -1: "worse", 0: ""}[beyond]
    row["text"] = row["mark"] or ("within chance" if shares[0] != shares[1] else "the same")
    return row


def _comparable(name, a, b):
    """Whether a figure was made in the same way: by the same judges, of as many images if that matters."""
    any_count = name in ANY_COUNT or name.rpartition("/")[0] in ANY_COUNT
    return not _other_judges(a, b) and (any_count or a["n"] == b["n"])


def _nearer(name, values, real):
    """The mark of a figure without an interval: on which side of A, seen from the real value, B lies."""
    if name in NEITHER or None in (*values, *real) or values[0] == values[1]:
        return {}
    away = [abs(value - real[i]) for i, value in enumerate(values)]
    mark = "nearer" if away[1] < away[0] else "further"
    return {"mark": mark, "text": f"{mark} {'to' if mark == 'nearer' else 'from'} real"}


def warnings(a: dict, b: dict) -> list[str]:
    """What makes two reports hard to compare: other counts, other judges.

    A judge counts only if both reports used it: one that was left out with `only` is not another judge.
    """
    found = []
    if a["n"] != b["n"]:
        found.append(f"A has {a['n']} images, B has {b['n']}: figures that depend on the count cannot be compared.")
    different = _other_judges(a, b)
    if different:
        found.append(f"The judges differ ({', '.join(different)}): their figures cannot be compared.")
    return found


def _other_judges(a, b):
    """The kinds of judges that both reports used, each another one."""
    left, right = _judges(a), _judges(b)
    return [judge for judge in left if judge in right and left[judge] != right[judge]]


def _judges(report):
    """The judges that a report used: dict from a kind to its description."""
    classifier, _, clip = report["facts"]["judges"].partition(" CLIP: ")
    return {"classifier": classifier} | ({"CLIP": clip} if clip else {})


def text(a: dict, b: dict) -> str:
    """The comparison for a terminal."""
    head = [f"{letter}: {r['facts']['title']}. {r['facts']['lead']}" for letter, r in (("A", a), ("B", b))]
    table = names.text_table([["", "A", "B", "real test images", "B is"], *rows(a, b)])
    return "\n".join([*head, *warnings(a, b), "", table, "", CHANCE])


def render(a: dict, b: dict) -> str:
    """The comparison as an HTML page."""
    return report_page.fill(
        "comparison.html.j2",
        title="Comparison",
        summary=summary(a, b),
        reports=[("A", a["facts"]), ("B", b["facts"])],
        warnings=warnings(a, b),
        noun=names.noun(a),
        samples=[(_samples(a).get(k), _samples(b).get(k), k) for k in _labels(_samples(a) | _samples(b))],
        rows=differences(a, b),
        chance=CHANCE,
        per_class=_per_class(a, b),
    )


def summary(a: dict, b: dict) -> str:
    """In what B is better and in what worse than A, beyond chance, in one line."""
    found = differences(a, b)
    parts = []
    for mark in ("better", "worse"):
        titles = [row["title"].lower() for row in found if row["mark"] == mark]
        parts += [f"B is {mark} than A in {', '.join(titles)}"] if titles else []
    if not any(row["chance"] for row in found):
        return "These reports share no figure that tells a difference from chance."
    return f"{'; '.join(parts) or 'No share differs between A and B by more than chance'}."


def _samples(report):
    """The pictures in a report, by class; none in reports of older versions. A picture is never a link elsewhere."""
    return {d: image for d, image in report.get("samples", {}).items() if image.startswith("data:image/png;base64,")}


def _labels(names_of_labels):
    """The classes among some names, in their order."""
    return sorted((name for name in names_of_labels if name.isdecimal()), key=int)


def _per_class(a, b):
    """Right classes and CLIP's sharp shares, class by class, as far as both reports have them."""
    sections = []
    keys = [key.rpartition("/")[2] for key in a["figures"] if key.startswith("accuracy/") and key in b["figures"]]
    if keys:
        sides = a["figures"], b["figures"]
        found = [_difference(f"accuracy/{key}", (a, b), sides) | {"title": key} for key in _labels(keys)]
        sections.append({"title": names.in_words_of(a, "Right digit, digit by digit"), "rows": found})
    if all("clip" in r for r in (a, b)):
        clips = [r["clip"] for r in (a, b)]
        keys = [f"sharp/{d}" for d in range(10) if all(f"sharp/{d}" in clip["model"] for clip in clips)]
        sides = [{k: {s: clip[s].get(k) for s in ("model", "real")} for k in keys} for clip in clips]
        found = [_difference(key, (a, b), sides) | {"title": key[-1]} for key in keys]
        sections.append({"title": "CLIP: sharp, digit by digit, in percent", "rows": found})
    return sections
