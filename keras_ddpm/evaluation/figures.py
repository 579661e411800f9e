"""The figures for a reader: their names, how they are written, and what to look for.

The texts speak of digits; of other data `in_words_of` puts the word that the report has for a class.
"""

PERCENT, NUMBER, SHARE = "percent", "number", "share"  # 0..100, any, 0..1 written as percent

FIGURES = {
    "accuracy": ("Right digit", SHARE, "read by the classifier as the digit asked for; like real or above"),
    "confidence": ("Confidence", SHARE, "of the classifier; like real, and says little on its own"),
    "frechet_distance": (
        "Fréchet distance",
        NUMBER,
        "like real; lower means closer to training images than test images are",
    ),
    "frechet_distance_all": (
        "Fréchet distance, all images",
        NUMBER,
        "of all images in shards, and of all test images, to all training images; fewer images make it larger",
    ),
    "kernel_distance": ("Kernel distance", NUMBER, "near 0 is good"),
    "kernel_distance_within_digit": ("Kernel distance within a digit", NUMBER, "like real; detects wrong labels"),
    "precision": ("Precision", SHARE, "generated images that lie where real ones do"),
    "recall": ("Recall", SHARE, "real images within reach of generated ones"),
    "density": ("Density", NUMBER, "precision that outliers cannot inflate"),
    "coverage": ("Coverage", SHARE, "real images with a generated one nearby"),
    "diversity": ("Diversity within a digit", NUMBER, "like real: neither less nor more"),
    "nearest_sibling": ("Nearest sibling", NUMBER, "like real; near 0 if a few images are repeated"),
    "diversity_in_pixels": ("Diversity in pixels", NUMBER, "like real"),
    "nearest_sibling_in_pixels": ("Nearest sibling in pixels", NUMBER, "like real"),
    "nearest_training": ("Nearest training image", NUMBER, "median distance in features; like real, not below"),
    "memorised": ("Memorised, in features", SHARE, "one training image far nearer than all others; like real"),
    "nearest_training_in_pixels": ("Nearest training image, pixels", NUMBER, "median distance; like real, not below"),
    "memorised_in_pixels": ("Memorised, in pixels", SHARE, "like real"),
    "pixel_mean": ("Brightness", NUMBER, "like real"),
    "pixel_std": ("Contrast", NUMBER, "like real"),
    "black": ("Black pixels", SHARE, "like real; fewer mean a grey background"),
    "white": ("White pixels", SHARE, "like real; more mean saturation"),
    "grey": ("Grey pixels", SHARE, "like real; more mean blur"),
    "clip/sharp": ("CLIP: sharp", PERCENT, "photo + clear; like real, above it smoother than real handwriting"),
    "clip/zero_shot": ("CLIP: right digit of ten", PERCENT, "like real"),
    "classification_accuracy_score": (
        "Classification accuracy score",
        SHARE,
        "accuracy of a classifier trained on these images alone",
    ),
}
HEADLINE = (
    "accuracy",
    "frechet_distance",
    "frechet_distance_all",
    "precision",
    "recall",
    "coverage",
    "diversity",
    "memorised_in_pixels",
    "clip/sharp",
    "clip/zero_shot",
    "classification_accuracy_score",
)


def all_figures(report: dict) -> dict[str, dict[str, float]]:
    """The figures of a report, including CLIP's over all digits.

    Args:
        report: A report's content, as `report.json` holds it.

    Returns:
        dict from a figure's name to {"model": value, "real": value}.
    """
    figures = dict(report["figures"])
    if "clip" in report:
        model, real = report["clip"]["model"], report["clip"]["real"]
        for name in ("sharp", "zero_shot"):
            figures[f"clip/{name}"] = {"model": model[f"{name}/all"], "real": real[f"{name}/all"]}
    return figures


def noun(report: dict) -> str:
    """What a report calls a class: "digit", as those of older versions do, or "class"."""
    return report.get("facts", {}).get("noun", "digit")


def in_words_of(report: dict, text: str) -> str:
    """A text of digits as a text of what a report's images show."""
    if noun(report) == "digit":
        return text
    for digit, other in (("digits", "classes"), ("digit", "class")):
        text = text.replace(digit, other).replace(digit.capitalize(), other.capitalize())
    return text


def title(name: str) -> str:
    """A figure's name for a reader, followed by its class if it is of one class."""
    overall, _, label = name.rpartition("/")
    known = FIGURES.get(name) or FIGURES.get(overall)
    return name if known is None else known[0] if name in FIGURES else f"{known[0]}, {label}"


def as_text(name: str, value: float | None) -> str:
    """A figure's value as percent or with three significant digits; a dash if there is none."""
    known = FIGURES.get(name) or FIGURES.get(name.rpartition("/")[0])
    kind = known[1] if known else NUMBER
    if value is None or value != value:
        return "–"
    return {SHARE: f"{100 * value:z.1f} %", PERCENT: f"{value:z.1f} %", NUMBER: f"{value:z.3g}"}[kind]


def difference_as_text(name: str, value: float) -> str:
    """The difference of two of a figure's values with its sign: in percentage points, or with three digits."""
    known = FIGURES.get(name) or FIGURES.get(name.rpartition("/")[0])
    kind = known[1] if known else NUMBER
    if not value:
        return "0"
    return f"{value:+z.3g}" if kind == NUMBER else f"{value * (100 if kind == SHARE else 1):+z.1f}"


def text_table(rows: list[list[str]]) -> str:
    """Rows of equal length as lines of text, the first column aligned left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def headline_table(report: dict) -> str:
    """The most important figures as text: name, model, real test images."""
    figures = all_figures(report)
    shown = [name for name in HEADLINE if name in figures] or list(figures)
    rows = [
        [in_words_of(report, title(name)), *(as_text(name, figures[name][side]) for side in ("model", "real"))]
        for name in shown
    ]
    return text_table([["", "model", "real test images"], *rows])
