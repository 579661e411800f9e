"""What chance alone does to a share: intervals of one, and of the difference of two.

k of n images are right, p = k / n. Were n others drawn, p would be another. Wilson's interval holds the share of all
images that could be drawn in 95 % of the cases, near 0 and 1 too:

    (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),    z = 1.96

The difference d = p_b - p_a of independent shares with the intervals (l_a, u_a) and (l_b, u_b) lies, by Newcombe's
method 10, in

    d - sqrt((p_b - l_b)^2 + (u_a - p_a)^2)  ...  d + sqrt((u_b - p_b)^2 + (p_a - l_a)^2)

Reference: Wilson, "Probable inference, the law of succession, and statistical inference", 1927; Newcombe, "Interval
estimation for the difference between independent proportions", 1998.
"""

import math

Z = 1.959964
COUNTED = (
    "accuracy",
    "precision",
    "recall",
    "coverage",
    "memorised",
    "memorised_in_pixels",
    "clip/zero_shot",
    "classification_accuracy_score",
)
"""Figures that count images. The others are means or distances, about which one number and n say nothing."""
Interval = tuple[float, float]


def wilson(share: float, n: int) -> Interval:
    """The 95 % interval of a share.

    Args:
        share: In [0, 1], of n images.
        n: At least 1.

    Returns:
        Its ends, in [0, 1].

    Example:
        >>> wilson(0.99, 300)  # about (0.971, 0.997)
    """
    middle = share + Z**2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    low, high = ((middle + sign * half) / (1 + Z**2 / n) for sign in (-1, 1))
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def difference(a: float, n_a: int, b: float, n_b: int) -> Interval:
    """The 95 % interval of b - a.

    Args:
        a, b: Shares in [0, 1].
        n_a, n_b: The numbers of images they are of.

    Returns:
        Its ends. Chance alone explains the difference if 0 lies between them.
    """
    (low_a, high_a), (low_b, high_b), d = wilson(a, n_a), wilson(b, n_b), b - a
    return d - math.hypot(b - low_b, high_a - a), d + math.hypot(high_b - b, a - low_a)


def beyond(interval: Interval) -> int:
    """1 if an interval of differences lies above 0, -1 if below, and 0 if chance alone explains the difference."""
    low, high = interval
    return int(low > 0) - int(high < 0)


def images_counted(report: dict, name: str) -> int | None:
    """The number of generated images that a figure counts; None for a figure that is no count.

    Args:
        report: A report's content, as `report.json` holds it.
        name: The figure's name, which may end in a digit.
    """
    overall, _, digit = name.rpartition("/") if name[-1].isdigit() else (name, "", "")
    if overall not in COUNTED:
        return None
    if overall == "accuracy" and "confusion" in report:
        rows = report["confusion"]
        return sum(rows[int(digit)]) if digit else sum(map(sum, rows))
    return None if digit else report["n"]


def share_of(name: str, value: float | None) -> float | None:
    """A counted figure's value as a share in [0, 1]; CLIP's are percent."""
    if value is None or value != value:
        return None
    return value / 100 if name.startswith("clip/") else value
