"""Plots as SVG, small enough to embed in a page and with type large enough for a phone; image grids as PNG."""

import base64
import io
import itertools

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from keras_ddpm.data.pictures import grid
from keras_ddpm.evaluation.page.original_report import RECOGNITION

MODEL, REAL, CLAIM = "#1f5fa8", "#8a8a8a", "#e8b34a"
MOST_NAMED = 10  # classes in a legend
SIDE = 28  # of smaller images a pixel becomes several
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "keras_ddpm", "font.family": "sans-serif", "font.size": 10}


def curves_plot(section: dict, *, x_label: str, claim: str | None = None) -> str:
    """Accuracy, and F1 of each class, along the process.

    Args:
        section: One of the values of `measure.recognition_section`.
        x_label: Label of the axis.
        claim: Key of `original_report.RECOGNITION` whose interval is shaded; None for none.

    Returns:
        SVG text.
    """
    figure, axes = _panel()
    if claim:
        axes.axvspan(*RECOGNITION[claim], color=CLAIM, alpha=0.35, lw=0, label="the original report's claim")
    f1 = np.array(section["f1"], dtype="float64")  # (S, K)
    marker = "o" if len(f1) == 1 else ""  # of a single step there is no line
    for label, color in zip(range(f1.shape[1]), itertools.cycle(_class_colours())):
        shown = f"F1 of {label}" if f1.shape[1] <= MOST_NAMED else "_nolegend_"
        axes.plot(section["progress"], f1[:, label], color=color, lw=0.9, marker=marker, label=shown)
    axes.plot(section["progress"], section["accuracy"], color="black", lw=2.2, marker=marker, label="accuracy, all")
    axes.axhline(1 / f1.shape[1], color="0.6", lw=0.8, ls=":")
    axes.set(xlabel=x_label, ylabel="accuracy, F1", xlim=(0, 1), ylim=(-0.02, 1.02))
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return _svg(figure)


def health_plot(steps: list, table: list, *, name: str) -> str:
    """Mean, one standard deviation around it, minimum and maximum over the steps.

    Args:
        steps: (S,), descending times.
        table: (S, 4), mean, std, min, max; may be NaN, infinite or None.
        name: Name of the quantity.

    Returns:
        SVG text.
    """
    mean, std, low, high = np.ma.masked_invalid(np.array(table, dtype="float64")).T
    figure, axes = _panel(height=2.5)
    axes.fill_between(steps, low, high, color=MODEL, alpha=0.12, lw=0, label="min to max")
    axes.fill_between(steps, mean - std, mean + std, color=MODEL, alpha=0.35, lw=0, label="mean ± std")
    axes.plot(steps, mean, color=MODEL, lw=1.8, label="mean")
    for edge in (-1, 1):
        axes.axhline(edge, color="0.5", lw=0.8, ls=":")
    axes.set(xlabel="t, from noise to image", title=name)
    axes.invert_xaxis()
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return _svg(figure)


def bars(names: list[str], model: list[float], real: list[float], *, y_label: str) -> str:
    """Model beside real, a pair of bars per name.

    Args:
        names: Labels of the pairs.
        model, real: As many numbers.
        y_label: Label of the axis.

    Returns:
        SVG text.
    """
    figure, axes = _panel(height=2.5)
    x = np.arange(len(names))
    axes.bar(x - 0.2, model, 0.4, color=MODEL, label="this model")
    axes.bar(x + 0.2, real, 0.4, color=REAL, label="real test images")
    axes.set_xticks(x, names)
    axes.set(ylabel=y_label, ylim=(0, 105), xlabel="digit")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return _svg(figure)


def png_grid(images: np.ndarray, *, columns: int) -> bytes:
    """Images side by side as the bytes of a PNG.

    Args:
        images: uint8 (N, H, W, C).
        columns: Images in a row.

    Returns:
        The file's bytes.
    """
    from PIL import Image

    file = io.BytesIO()
    scale = max(1, SIDE // max(images.shape[1:3]))
    Image.fromarray(grid(images, columns=columns, scale=scale)).save(file, format="PNG")
    return file.getvalue()


def data_uri(content: bytes | str, kind: str) -> str:
    """Bytes or text as an address that contains them, so that a page needs no other file."""
    content = content.encode() if isinstance(content, str) else content
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _panel(*, height=3.6):
    figure = Figure(figsize=(4.6, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _class_colours():
    import matplotlib

    return matplotlib.colormaps["tab10"].colors


def _svg(figure):
    file = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
