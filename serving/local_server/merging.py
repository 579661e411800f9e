"""Several requests as one batch: their rows one below the other, padded to a size, and apart again."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large batches are.

    Args:
        max_rows: Rows that may be merged; 0 merges nothing.
        sizes: Sizes to pad to, rising.
        queue: Requests that may wait.
    """

    max_rows: int
    sizes: tuple[int, ...]
    queue: int

    def padded(self, rows: int) -> int:
        """The size of a batch of so many rows; one larger than all sizes stays as it is."""
        return next((size for size in self.sizes if size >= rows), rows)


def merge(rows: list[dict], limits: Limits) -> dict:
    """Requests one below the other, padded by repeating the last row.

    Args:
        rows: list of dict of alias -> array.
        limits: Limits, for the sizes.

    Returns:
        dict of alias -> array.
    """
    count = sum(len(next(iter(inputs.values()))) for inputs in rows)
    padding = limits.padded(count) - count
    merged = {}
    for alias in rows[0]:
        parts = [inputs[alias] for inputs in rows]
        parts += [parts[-1][-1:]] * padding
        merged[alias] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return merged


def split(result: dict, members: list) -> list[dict]:
    """Each member's own rows of its own outputs.

    Args:
        result: dict of alias -> array, of all members and of padding.
        members: list of batching.Request.

    Returns:
        list of dict of alias -> array.
    """
    results, start = [], 0
    for member in members:
        results.append({alias: result[alias][start : start + member.rows] for alias in member.outputs})
        start += member.rows
    return results
