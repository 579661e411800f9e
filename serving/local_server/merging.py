"""Several requests as one batch: their rows one below the other, padded to a size, and apart again."""

import dataclasses

import numpy as np

Arrays = dict[str, np.ndarray]  # by alias, all with the same number of rows


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


def merge(rows: list[Arrays], limits: Limits) -> Arrays:
    """Requests one below the other, padded by repeating the last row."""
    count = sum(len(next(iter(inputs.values()))) for inputs in rows)
    padding = limits.padded(count) - count
    merged = {}
    for alias in rows[0]:
        parts = [inputs[alias] for inputs in rows]
        parts += [parts[-1][-1:]] * padding
        merged[alias] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return merged


def split(result: Arrays, members: list) -> list[Arrays]:
    """Each `batching.Request`'s own rows of its own outputs, from the rows of all of them and of padding."""
    results, start = [], 0
    for member in members:
        results.append({alias: result[alias][start : start + member.rows] for alias in member.outputs})
        start += member.rows
    return results
