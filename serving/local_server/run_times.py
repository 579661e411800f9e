"""How long a batch of each size takes, learnt from the batches that ran.

A size has a mean and, as TCP has it for round trips, a bound: the mean plus twice the mean deviation, both moving
averages. Time grows with the size, and less than in proportion, so every size that ran bounds the others: a smaller
batch takes no longer, and a larger one takes no longer per row. So neighbours correct an estimate that is too high.
"""

SHARE = 0.25  # of the newest run in the averages


class RunTimes:
    """Moving averages of the run times of one signature."""

    def __init__(self):
        self._mean: dict[int, float] = {}
        self._deviation: dict[int, float] = {}

    def __len__(self):
        return len(self._mean)

    def __contains__(self, size):
        return size in self._mean

    def add(self, size: int, seconds: float) -> None:
        """Learn from a run.

        Args:
            size: Rows of the batch, padding included, at least 1.
            seconds: How long it took.
        """
        if size not in self._mean:
            self._deviation[size], self._mean[size] = 0.0, seconds
            return
        error = seconds - self._mean[size]
        self._deviation[size] += SHARE * (abs(error) - self._deviation[size])
        self._mean[size] += SHARE * error

    def mean(self, size: int) -> float:
        """Seconds that a batch of `size` rows takes; 0 if nothing has run yet."""
        return self._least(size, deviations=0)

    def bound(self, size: int) -> float:
        """Seconds within which a batch of `size` rows is nearly always done; 0 if nothing has run yet."""
        return self._least(size, deviations=2)

    def _least(self, size, deviations):
        return min(
            ((mean + deviations * self._deviation[ran]) * max(1.0, size / ran) for ran, mean in self._mean.items()),
            default=0.0,
        )
