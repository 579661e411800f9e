"""Figures as text: shares, numbers, and what several seeds say."""

from collections.abc import Sequence

import numpy as np

from studies import study


def percent(value: float | None, digits: int = 1) -> str:
    """A share as text."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A number, rounded to significant digits."""
    return "–" if value is None else np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")


def spread(rows: Sequence[study.Figures], figure: str, *, share: bool = True) -> str:
    """Mean and standard deviation of a figure over the rows of several seeds; for a single row the figure alone."""
    mean, std = study.spread(list(rows), figure)
    if len(rows) == 1:
        return percent(mean) if share else number(mean)
    return f"{100 * mean:.1f} ± {100 * std:.1f} %" if share else f"{mean:.3g} ± {std:.2g}"


def plus_minus(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation of the values of several seeds; of a single one the value alone."""
    several = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{several}"


def average(rows: Sequence[study.Figures]) -> study.Figures:
    """One row with the means of the figures that are numbers; empty if there are no rows."""
    numbers = [name for name, value in rows[0].items() if isinstance(value, (int, float))] if rows else []
    return {name: study.spread(rows, name)[0] for name in numbers}


def apart(rows: Sequence[study.Figures], others: Sequence[study.Figures], figure: str) -> str:
    """Difference of the means of a share, in points, and whether it exceeds the larger standard deviation."""
    (one, std), (other, other_std) = study.spread(rows, figure), study.spread(others, figure)
    more = abs(one - other) > max(std, other_std)
    return f"{100 * (one - other):+.1f} points ({'more' if more else 'less'} than seeds differ)"


def unlike_real(row: study.Figures) -> str:
    """Whether the images are unlike real digits, as blobs are, judged by how many lie among real ones (precision)."""
    return "yes" if row["precision"] < 0.05 else "in part" if row["precision"] < 0.5 else "no"


def listed(names: list[str]) -> str:
    """Names as in a sentence: a, b and c; nothing if there are none."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
