"""What the figures are called for a reader, how they are written, and which way is good."""

PERCENT, NUMBER, SHARE = "percent", "number", "share"  # 0..100, any, 0..1 written as percent

FIGURES = {
    "accuracy": ("Right digit", SHARE, "read by the classifier as the digit asked for; as real or above"),
    "confidence": ("Confidence", SHARE, "of the classifier; as real, and says little alone"),
    "frechet_distance": (
        "Fréchet distance",
        NUMBER,
        "as real; below: nearer to training images than test images are",
    ),
    "kernel_distance": ("Kernel distance", NUMBER, "near 0 is good"),
    "kernel_distance_within_digit": (
        "Kernel distance within a digit",
        NUMBER,
        "as real; sees wrong labels",
    ),
    "precision": ("Precision", SHARE, "generated images that lie where real ones do"),
    "recall": ("Recall", SHARE, "real images within reach of generated ones"),
    "density": ("Density", NUMBER, "precision that outliers cannot inflate"),
    "coverage": ("Coverage", SHARE, "real images with a generated one beside"),
    "diversity": ("Diversity within a digit", NUMBER, "as real: neither less nor more"),
    "nearest_sibling": ("Nearest sibling", NUMBER, "as real; towards 0 if few images are repeated"),
    "diversity_in_pixels": ("Diversity in pixels", NUMBER, "as real"),
    "nearest_sibling_in_pixels": ("Nearest sibling in pixels", NUMBER, "as real"),
    "nearest_training": ("Nearest training image", NUMBER, "median distance in features; as real, not below"),
    "memorised": ("Memorised, in features", SHARE, "one training image far nearer than all others; as real"),
    "nearest_training_in_pixels": ("Nearest training image, pixels", NUMBER, "median distance; as real, not below"),
    "memorised_in_pixels": ("Memorised, in pixels", SHARE, "as real"),
    "pixel_mean": ("Brightness", NUMBER, "as real"),
    "pixel_std": ("Contrast", NUMBER, "as real"),
    "black": ("Black pixels", SHARE, "as real; less means a grey ground"),
    "white": ("White pixels", SHARE, "as real; more means saturation"),
    "grey": ("Grey pixels", SHARE, "as real; more means blur"),
    "clip/sharp": ("CLIP: sharp", PERCENT, "photo + clear; as real, above it smoother than real hands"),
    "clip/zero_shot": ("CLIP: right digit of ten", PERCENT, "as real"),
    "classification_accuracy_score": ("Classification accuracy score", SHARE, "a classifier trained on these alone"),
}
HEADLINE = (
    "accuracy",
    "frechet_distance",
    "precision",
    "recall",
    "coverage",
    "diversity",
    "memorised_in_pixels",
    "clip/sharp",
    "clip/zero_shot",
    "classification_accuracy_score",
)


def all_figures(report):
    """The figures of a report, CLIP's over all digits among them: dict from name to {"model", "real"}."""
    figures = dict(report["figures"])
    if "clip" in report:
        model, real = report["clip"]["model"], report["clip"]["real"]
        for name in ("sharp", "zero_shot"):
            figures[f"clip/{name}"] = {"model": model[f"{name}/all"], "real": real[f"{name}/all"]}
    return figures


def title(name):
    """A figure's name for a reader; single digits keep theirs."""
    whole, _, digit = name.rpartition("/")
    known = FIGURES.get(name) or FIGURES.get(whole)
    return name if known is None else known[0] if name in FIGURES else f"{known[0]}, {digit}"


def write(name, value):
    """A figure as text: percent or three significant digits."""
    known = FIGURES.get(name) or FIGURES.get(name.rpartition("/")[0])
    kind = known[1] if known else NUMBER
    if value is None or value != value:
        return "–"
    return {SHARE: f"{100 * value:.1f} %", PERCENT: f"{value:.1f} %", NUMBER: f"{value:.3g}"}[kind]


def text_table(rows):
    """Rows of equal length as lines of text, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def summary(report):
    """The headline figures as text: name, model, real test images."""
    figures = all_figures(report)
    shown = [name for name in HEADLINE if name in figures] or list(figures)
    rows = [[title(name), *(write(name, figures[name][side]) for side in ("model", "real"))] for name in shown]
    return text_table([["", "model", "real test images"], *rows])
