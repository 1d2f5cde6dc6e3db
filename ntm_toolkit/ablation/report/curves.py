"""One figure of the learning curves of runs, or of groups of runs of one spec: the median, and the middle half."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ntm_toolkit.ablation.comparison import RunGroup
from ntm_toolkit.ablation.report.figures import learning_band
from ntm_toolkit.trace.scales import spread
from ntm_toolkit.training.atomic import reporting

MOST_COLOURS = 10
"""Lines that differ in colour alone; those after them differ in how they are dashed too."""

_DASHES = ("-", "--", ":", "-.")


def write_curves(groups: Sequence[RunGroup], metric: str, path: Path) -> None:
    """Draw learning curves into a file, in the format of its ending.

    Raises:
        ToolkitError: the file cannot be written.
    """
    figure = draw_curves(groups, metric)
    with reporting("write it", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def draw_curves(groups: Sequence[RunGroup], metric: str) -> Figure:
    """Return the figure: a line for each group, and around those of several runs a band between the quartiles.

    Where a line is dotted, some run of the group has no value any more: it ended before the others.

    Args:
        groups: of at least one run each.
        metric: a name, with its setting where it has one, as in `bit_errors[length=120]`.
    """
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    shown = []
    for place, group in enumerate(groups):
        band = learning_band(group.of_metric(metric), metric)
        if not band:
            continue
        color, dashes = f"C{place % MOST_COLOURS}", _DASHES[place // MOST_COLOURS % len(_DASHES)]
        at = [point.sequences for point in band]
        runs = f" ({len(group.runs)} runs)" if len(group.runs) > 1 else ""
        origin = "" if any(run.is_held_out(metric) for run in group.runs) else ", in training"
        whole = [point for point in band if point.whole]
        rest = band[max(len(whole) - 1, 0) :] if len(whole) < len(band) else []
        axis.fill_between(
            at, [point.low for point in band], [point.high for point in band], color=color, alpha=0.2, linewidth=0
        )
        label = f"{group.name}{runs}{origin}"
        for points, style, name in ((whole or rest, dashes, label), (rest if whole else [], ":", None)):
            axis.plot(
                [point.sequences for point in points],
                [point.median for point in points],
                style,
                color=color,
                label=name,
                marker="." if len(points) == 1 else None,
            )
        shown += [value for point in band for value in (point.low, point.high)]
    spread(axis, "y", shown)
    axis.set_xlim(left=0)
    axis.set_xlabel("training sequences")
    axis.set_ylabel(metric.replace("_", " "))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    return figure
