"""Numbers along the sampling chain, and what they say when it goes wrong.

A trace is one quantity (x_t, eps, mu, or the x_0 estimate before clipping) at every step, in the model's range where
data lie in [-1, 1]. x_t of a sound chain starts with standard deviation 1 and ends with the data's; |mu| never much
exceeds |x_t|; x_0 stays near [-1, 1].
"""

import numpy as np

TERMINAL = 0.01
"""alpha_bar at the last step above which x_T is visibly not N(0, I)."""
LARGE = 10.0
"""|x_t| or |mu| that N(0, I) and data in [-1, 1] do not reach together in a lifetime."""
OVERSHOOT = 0.1
"""Mean amount by which x_0 may leave [-1, 1] late in the chain."""


def statistics(trace):
    """Mean, standard deviation, smallest and largest value at each step.

    Args:
        trace: float, (S, ...), steps in the order of the process.

    Returns:
        float64, (S, 4).

    Raises:
        ValueError: If there is no step, or no axis beyond the steps.
    """
    trace = np.asarray(trace, "float64")
    if trace.ndim < 2 or not trace.size:
        raise ValueError(f"`trace` must have shape (S, ...) with at least one step. Received: {trace.shape}")
    flat = trace.reshape(len(trace), -1)  # (S, values)
    return np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1)], axis=1)


def table(traces, *, steps):
    """The statistics of several traces as lines of text.

    Args:
        traces: Dict from a quantity's name to its trace, all with the same number of steps.
        steps: (S,), the timestep to print beside each step.

    Returns:
        A string: one line a step, four columns a quantity.
    """
    columns = {name: statistics(trace) for name, trace in traces.items()}
    head = "    t" + "".join(f" | {name:^35}" for name in columns)
    names = "     " + (" | " + "".join(f"{n:>8} " for n in ("mean", "std", "min", "max"))[:-1]) * len(columns)
    rows = [
        f"{t:5d}" + "".join(" | " + " ".join(f"{v:8.3g}" for v in column[i]) for column in columns.values())
        for i, t in enumerate(steps)
    ]
    return "\n".join([head, names, *rows])


def diagnose(traces, *, steps, alpha_bar_end=0.0):
    """Names the failures that the traces show, one line each.

    Args:
        traces: Dict with any of `x_t`, `eps`, `mu`, `x_0` (before clipping), each (S, ...), in sampling order.
        steps: (S,), the timestep of each step.
        alpha_bar_end: alpha_bar at the schedule's noisy end.

    Returns:
        A list of sentences; empty if nothing is wrong.

    Example:
        diagnose({"x_t": x_t}, steps=[99, 0], alpha_bar_end=0.3636)  # the original report's schedule
    """
    found = []
    if alpha_bar_end > TERMINAL:
        snr = alpha_bar_end / (1 - alpha_bar_end)
        found.append(
            f"Terminal SNR: the schedule ends at alpha_bar = {alpha_bar_end:.4f} (SNR {snr:.3f}), but sampling starts "
            "from N(0, I). Expect a grey ground. Use a schedule that ends near 0: scaled_linear, zero_terminal_snr."
        )
    for name, trace in traces.items():
        found.extend(_explosion(name, np.asarray(trace), steps))
    if "x_0" in traces:
        found.extend(_saturation(np.asarray(traces["x_0"])))
    return found


def _explosion(name, trace, steps):
    """A sentence if a trace has values that are not finite, or, for x_t and mu, large ones."""
    flat = np.abs(trace.reshape(len(trace), -1))
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(broken):
        yield f"Explosion: {name} is not finite from t = {steps[broken[0]]} on."
        return
    large = np.flatnonzero(flat.max(axis=1) > LARGE)
    if name in ("x_t", "mu") and len(large):
        yield (
            f"Explosion: |{name}| exceeds {LARGE:.0f} from t = {steps[large[0]]} on and reaches {flat.max():.3g}. "
            "Take the posterior mean from a clipped x_0 instead of from eps."
        )


def _saturation(x_0):
    """A sentence if the x_0 estimate leaves [-1, 1] by much in the last quarter of the chain."""
    late = x_0[-max(1, len(x_0) // 4) :]
    beyond = np.clip(np.abs(late) - 1, 0, None).mean() if np.isfinite(late).all() else 0.0
    if beyond > OVERSHOOT:
        yield (
            f"Saturation: late x_0 estimates leave [-1, 1] by {beyond:.2f} on average, at most by "
            f"{np.abs(late).max() - 1:.2f}. Lower the guidance scale, guide only at middle noise levels, or use "
            "dynamic thresholding."
        )
