"""Scales of figures of errors, which go from hundreds of bits down to none at all."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matplotlib import ticker
from matplotlib.axes import Axes


def spread(axis: Axes, direction: str, values: Iterable[float]) -> None:
    """Let an axis show all values: in powers of ten where they differ by more than a hundredfold.

    Args:
        axis: to be set.
        direction: "x" or "y".
        values: that are drawn along it.
    """
    shown = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(shown), max(shown)
    largest = max(abs(low), abs(high))
    smallest = min((abs(value) for value in shown if value), default=0.0)
    set_scale, set_limits = getattr(axis, f"set_{direction}scale"), getattr(axis, f"set_{direction}lim")
    if largest <= 100 * smallest or not smallest:
        room = 0.06 * (high - low) or 0.06 * largest or 1.0
        set_limits(low - room, high + room)
        return
    if low > 0:
        set_scale("log")
        set_limits(low / 1.5, high * 1.5)
        linear = low
    else:
        # Linear from zero to the smallest value, but over no more than four powers of ten.
        linear = 10.0 ** math.ceil(math.log10(max(smallest, largest * 1e-4)))
        set_scale("symlog", linthresh=linear, linscale=0.5)
        set_limits(low * 1.5 if low else -0.3 * linear, high * 1.5 if high > 0 else 0.3 * linear)
    along = axis.xaxis if direction == "x" else axis.yaxis
    along.set_ticks(_powers_of_ten(low, high, linear))
    along.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    along.set_minor_locator(ticker.NullLocator())


def _powers_of_ten(low: float, high: float, smallest: float) -> list[float]:
    """Return a few powers of ten on each side of zero, evenly spaced, and zero where it is among the values."""
    largest = max(abs(low), abs(high))
    powers = range(math.ceil(math.log10(smallest) - 1e-9), math.floor(math.log10(largest) + 1e-9) + 1)
    step = math.ceil(len(powers) / (3 if low < 0 < high else 6))
    shown = [10.0**power for power in reversed(range(powers.stop - 1, powers.start - 1, -step))]
    negative = [-power for power in reversed(shown) if -power >= 1.5 * low]
    return [*negative, *([0.0] if low <= 0 else []), *(power for power in shown if power <= 1.5 * high)]
