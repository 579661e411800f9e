"""The groups of figures that can be asked for with `only`, and how many images they need."""

import numpy as np

METRICS = {
    "accuracy": ("accuracy",),
    "fid": ("distances",),
    "prdc": ("manifold",),
    "diversity": ("diversity",),
    "memorisation": ("memorisation", "memorisation_in_pixels"),
    "pixels": ("pixels",),
}
"""From a group to keys of `metrics.bind`."""
GROUPS = (*METRICS, "clip", "recognition", "health")
PROCESS = ("recognition", "health")  # these need more than the final images
MINIMUM = {"fid": 100, "prdc": 100}


def choose_groups(only: str | None, *, arrays_only: bool = False, mnist: bool = True) -> tuple[str, ...]:
    """The groups in a comma-separated list.

    Args:
        only: For example "clip,fid"; None for all.
        arrays_only: Whether there are only final images, and no process.
        mnist: Whether these are MNIST's digits, of which CLIP's captions speak.

    Returns:
        Names from `GROUPS`, in their order.

    Raises:
        ValueError: for an unknown name, or one that needs more than images.
    """
    left_out = (*(PROCESS if arrays_only else ()), *(() if mnist else ("clip",)))
    if only is None:
        return tuple(name for name in GROUPS if name not in left_out)
    asked = [name.strip() for name in only.split(",")]
    if any(name not in GROUPS for name in asked):
        raise ValueError(f"`only` must be a list of {', '.join(GROUPS)}. Received: {only!r}")
    if arrays_only and set(asked) & set(PROCESS):
        raise ValueError(f"`only` must not contain {' or '.join(PROCESS)} with given images. Received: {only!r}")
    if not mnist and "clip" in asked:
        raise ValueError(f"`only` must not contain clip, whose captions are of MNIST's digits. Received: {only!r}")
    return tuple(name for name in GROUPS if name in asked)


def check_counts(n: int, groups: tuple[str, ...], *, available: int, cas: bool = False) -> None:
    """Fails early if there are too few images for the groups, or more than there are real ones.

    Args:
        n: Number of images to measure.
        groups: Names from `GROUPS`.
        available: Number of real images.
        cas: Whether a classifier is to be trained.

    Raises:
        ValueError: with the smallest and the largest number possible.
    """
    fewest = max([128 if cas else 10, *(MINIMUM.get(group, 10) for group in groups)])
    if not fewest <= n <= available:
        raise ValueError(
            f"`n` must be in {fewest}..{available}: at least what the metrics need, at most the number of real "
            f"images to compare with. Received: {n}"
        )


def check_digits(labels: np.ndarray, groups: tuple[str, ...]) -> None:
    """Fails early if a digit has too few images.

    Args:
        labels: int (n,), of the images to measure.
        groups: Names from `GROUPS`.

    Raises:
        ValueError: naming the digit.
    """
    digits, counts = np.unique(labels, return_counts=True)
    if "diversity" in groups and counts.min() < 2:
        alone = digits[counts.argmin()]
        raise ValueError(f"Diversity needs at least 2 images of each digit. Received: {counts.min()} of digit {alone}")
