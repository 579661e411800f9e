"""What a training says: a line an epoch, with an estimate for the whole run; on a terminal also a bar in each epoch."""

import sys
from time import monotonic

import keras


def progress() -> tuple[int, list[keras.callbacks.Callback]]:
    """The `verbose` of `fit`, and the callbacks, which must come last: they time the others too."""
    return int(sys.stdout is not None and sys.stdout.isatty()), [EpochLine()]


class EpochLine(keras.callbacks.Callback):
    """Prints one line after each epoch, without escape codes: its losses, its time, and the time left for the run."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.start = self.before = monotonic()
        self.done = 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        now, epochs = monotonic(), self.params["epochs"]
        self.done += 1
        left = (now - self.start) / self.done * (epochs - epoch - 1)
        losses = [f"{name} {value:.4f}" for name, value in (logs or {}).items() if name in ("loss", "val_loss")]
        parts = [f"epoch {epoch + 1}/{epochs}", *losses, in_words(now - self.before)]
        parts += [f"about {in_words(left)} left"] if epoch + 1 < epochs else []
        self.before = now
        print(", ".join(parts), flush=True)


def in_words(seconds: float) -> str:
    """A time as a person says it.

    Example:
        >>> in_words(3 * 3600 + 5 * 60)
        '3 h 5 min'
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
