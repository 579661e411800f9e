"""Statistics along the sampling chain, and what they say when something goes wrong.

A trace is one quantity (x_t, eps, mu, or the x_0 estimate before clipping) at every step, in the model's range where
data lie in [-1, 1]. In a healthy chain x_t starts with standard deviation 1, or the temperature, and ends with that of
the data; |mu| never exceeds |x_t| by much; x_0 stays close to [-1, 1].
"""

from collections.abc import Iterator, Sequence

import numpy as np

TERMINAL = 0.01
"""Value of alpha_bar at the last step above which x_T visibly differs from N(0, I)."""
LARGE = 10.0
"""|x_t| or |mu| that N(0, I) and data in [-1, 1] practically never reach."""
OVERSHOOT = 0.1
"""Mean amount by which x_0 may leave [-1, 1] late in the chain."""


def statistics(trace: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, minimum and maximum at each step.

    Args:
        trace: float, (S, ...), steps in the order of the process.

    Returns:
        float64, (S, 4).

    Raises:
        ValueError: if there is no step, or no axis but the steps.
    """
    trace = np.asarray(trace, "float64")
    if trace.ndim < 2 or not trace.size:
        raise ValueError(f"`trace` must have shape (S, ...) with at least one step. Received: {trace.shape}")
    flat = trace.reshape(len(trace), -1)  # (S, values)
    return np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1)], axis=1)


def table(traces: dict[str, np.ndarray], *, steps: Sequence[float]) -> str:
    """The statistics of several traces as lines of text.

    Args:
        traces: dict from a quantity's name to its trace, all with the same number of steps.
        steps: (S,), the time to print beside each step.

    Returns:
        One line per step, four columns per quantity.
    """
    columns = {name: statistics(trace) for name, trace in traces.items()}
    head = "    t" + "".join(f" | {name:^35}" for name in columns)
    names = "     " + (" | " + "".join(f"{n:>8} " for n in ("mean", "std", "min", "max"))[:-1]) * len(columns)
    rows = [
        f"{t:5g}" + "".join(" | " + " ".join(f"{v:8.3g}" for v in column[i]) for column in columns.values())
        for i, t in enumerate(steps)
    ]
    return "\n".join([head, names, *rows])


def diagnose(traces: dict[str, np.ndarray], *, steps: Sequence[float], alpha_bar_end: float = 0.0) -> list[str]:
    """Names the failures that the traces show, one line each.

    Args:
        traces: dict with any of `x_t`, `eps`, `mu`, `x_0` (before clipping), each (S, ...), in sampling order.
        steps: (S,), the time of each step.
        alpha_bar_end: alpha_bar at the noisy end of the schedule.

    Returns:
        Sentences; an empty list if nothing is wrong.

    Example:
        >>> diagnose({"x_t": x_t}, steps=[99, 0], alpha_bar_end=0.3636)  # the original report's schedule
    """
    found = []
    if alpha_bar_end > TERMINAL:
        snr = alpha_bar_end / (1 - alpha_bar_end)
        found.append(
            f"Terminal SNR: the schedule ends at alpha_bar = {alpha_bar_end:.4f} (SNR {snr:.3f}), but sampling starts "
            "from N(0, I). Expect a grey background. Use a schedule that ends near 0: scaled_linear, "
            "zero_terminal_snr."
        )
    for name, trace in traces.items():
        found.extend(_explosion(name, np.asarray(trace), steps))
    if "x_0" in traces:
        found.extend(_saturation(np.asarray(traces["x_0"])))
    return found


def _explosion(name, trace, steps) -> Iterator[str]:
    """A sentence if a trace has values that are not finite or, for x_t and mu, large ones."""
    flat = np.abs(trace.reshape(len(trace), -1))
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(broken):
        yield f"Explosion: {name} is not finite from t = {steps[broken[0]]} on."
        return
    large = np.flatnonzero(flat.max(axis=1) > LARGE)
    if name in ("x_t", "mu") and len(large):
        yield (
            f"Explosion: |{name}| exceeds {LARGE:.0f} from t = {steps[large[0]]} on and reaches {flat.max():.3g}. "
            "Compute the posterior mean from a clipped x_0 instead of from eps."
        )


def _saturation(x_0) -> Iterator[str]:
    """A sentence if the x_0 estimate leaves [-1, 1] by much in the last quarter of the chain."""
    late = x_0[-max(1, len(x_0) // 4) :]
    beyond = np.clip(np.abs(late) - 1, 0, None).mean() if np.isfinite(late).all() else 0.0
    if beyond > OVERSHOOT:
        yield (
            f"Saturation: late x_0 estimates leave [-1, 1] by {beyond:.2f} on average, at most by "
            f"{np.abs(late).max() - 1:.2f}. Lower the guidance scale, guide only at middle noise levels, or use "
            "dynamic thresholding."
        )
