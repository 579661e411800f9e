"""Two reports side by side, as text and as a page. Reads their content only, and needs neither Keras nor TensorFlow."""

from keras_ddpm.evaluation import figures as names
from keras_ddpm.evaluation.page import report_page


def rows(a: dict, b: dict) -> list[list[str]]:
    """Each figure of two reports: its name, A's, B's, and the real images' (A's / B's if they differ).

    Args:
        a, b: Contents of reports, as `report.json` holds them.

    Returns:
        Four texts for each figure that either report has, without single digits.
    """
    left, right = names.all_figures(a), names.all_figures(b)
    known = [name for name in names.FIGURES if name in left or name in right]
    table = []
    for name in known:
        real = [names.as_text(name, side[name]["real"]) for side in (left, right) if name in side]
        cells = (names.as_text(name, side.get(name, {}).get("model")) for side in (left, right))
        table.append([names.title(name), *cells, " / ".join(dict.fromkeys(real))])
    return table


def warnings(a: dict, b: dict) -> list[str]:
    """What makes two reports hard to compare: other counts, other judges.

    A judge counts only if both reports used it: one that was left out with `only` is not another judge.
    """
    found = []
    if a["n"] != b["n"]:
        found.append(f"A has {a['n']} images, B has {b['n']}: figures that depend on the count cannot be compared.")
    left, right = _judges(a), _judges(b)
    different = [judge for judge in left if judge in right and left[judge] != right[judge]]
    if different:
        found.append(f"The judges differ ({', '.join(different)}): their figures cannot be compared.")
    return found


def _judges(report):
    """The judges that a report used: dict from a kind to its description."""
    classifier, _, clip = report["facts"]["judges"].partition(" CLIP: ")
    return {"classifier": classifier} | ({"CLIP": clip} if clip else {})


def text(a: dict, b: dict) -> str:
    """The comparison for a terminal."""
    head = [f"{letter}: {r['facts']['title']}. {r['facts']['lead']}" for letter, r in (("A", a), ("B", b))]
    table = names.text_table([["", "A", "B", "real test images"], *rows(a, b)])
    return "\n".join([*head, *warnings(a, b), "", table])


def render(a: dict, b: dict) -> str:
    """The comparison as an HTML page."""
    return report_page.fill(
        "comparison.html.j2",
        title="Comparison",
        reports=[("A", a["facts"]), ("B", b["facts"])],
        warnings=warnings(a, b),
        rows=rows(a, b),
        per_digit=_per_digit(a, b),
    )


def _per_digit(a, b):
    """Right digits and CLIP's sharp shares, digit by digit, as far as both reports have them."""
    sections = []
    if all("accuracy" in r["figures"] for r in (a, b)):
        keys = [f"accuracy/{d}" for d in range(10) if all(f"accuracy/{d}" in r["figures"] for r in (a, b))]
        lines = [[k[-1], *(names.as_text("accuracy", r["figures"][k]["model"]) for r in (a, b))] for k in keys]
        sections.append({"title": "Right digit, digit by digit", "rows": lines})
    if all("clip" in r for r in (a, b)):
        keys = [f"sharp/{d}" for d in range(10) if all(f"sharp/{d}" in r["clip"]["model"] for r in (a, b))]
        lines = [[k[-1], *(f"{r['clip']['model'][k]:.1f} %" for r in (a, b))] for k in keys]
        sections.append({"title": "CLIP: sharp, digit by digit", "rows": lines})
    return sections
