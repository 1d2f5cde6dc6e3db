"""Figures of how a model generalises: each metric over the sizes of the task at which it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntm_toolkit.trace.scales import spread
from ntm_toolkit.training.atomic import reporting
from ntm_toolkit.training.rows import EXACT, Row

OWN, FAINT = "#3d86cf", "#888888"
MOST_WRITTEN = 12
"""Values along an axis of a grid up to which each cell has its number."""


def write_generalisation(rows: Sequence[Row], trained: Mapping[str, range], title: str, path: Path) -> None:
    """Draw what was measured into a file, in the format of its ending.

    Raises:
        ToolkitError: the file cannot be written.
    """
    figure = draw_generalisation(rows, trained, title)
    with reporting("write it", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def draw_generalisation(rows: Sequence[Row], trained: Mapping[str, range], title: str = "") -> Figure:
    """Return a figure with a column for each metric and a row for each axis, or pair of axes, that was held fixed.

    Over one axis: the mean, a band that holds the middle half of the sequences, chance and the optimum where the task
    knows them, and the sizes that training drew in grey. Over two: the mean, as a grid.

    Args:
        rows: what was measured; a row at no fixed axis is not drawn.
        trained: by axis, the sizes that training drew.
        title: of the whole.

    Raises:
        ValueError: no row is at a fixed axis.
    """
    held = [tuple(row.axes) for row in rows if row.axes]
    kinds = [axes for axes in dict.fromkeys(held) if len(axes) <= 2]
    metrics = list(dict.fromkeys(name for row in rows for name in row.mean))
    if not kinds:
        raise ValueError("nothing was measured at a size that is held fixed, so there is nothing to draw it over")
    size = (3.3 * len(metrics) + 0.4, 2.6 * len(kinds) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(kinds), len(metrics), squeeze=False)
    for line, axes in zip(panels, kinds, strict=True):
        own = [row for row in rows if tuple(row.axes) == axes]
        for axis, metric in zip(line, metrics, strict=True):
            if len(axes) == 1:
                _curve(axis, own, metric, axes[0], trained.get(axes[0]))
            else:
                _grid(axis, own, metric, axes[0], axes[1])
            axis.set_title(metric.replace("_", " "), fontsize=9)
            axis.tick_params(labelsize=7)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _curve(axis: Axes, rows: Sequence[Row], metric: str, along: str, trained: range | None) -> None:
    rows = sorted((row for row in rows if metric in row.mean), key=lambda row: row.axes[along])
    at = [row.axes[along] for row in rows]
    if trained is not None:
        axis.axvspan(trained[0], trained[-1], color=FAINT, alpha=0.15, linewidth=0)
    lower, upper = ([getattr(row, end).get(metric, row.mean[metric]) for row in rows] for end in ("lower", "upper"))
    axis.fill_between(at, lower, upper, color=OWN, alpha=0.25, linewidth=0, label="middle half of sequences")
    axis.plot(at, [row.mean[metric] for row in rows], marker="o", markersize=3, color=OWN, label="mean")
    shown = [*lower, *upper, *(row.mean[metric] for row in rows)]
    for name, style in (("chance", "--"), ("oracle", ":")):
        known = [(row.axes[along], getattr(row, name)[metric]) for row in rows if metric in getattr(row, name)]
        if known:
            label = "guessing" if name == "chance" else "optimum"
            axis.plot([x for x, _ in known], [y for _, y in known], style, color=FAINT, linewidth=1, label=label)
            shown += [y for _, y in known]
    if metric == EXACT:
        axis.set_ylim(-0.04, 1.04)
    else:
        spread(axis, "y", shown)
    axis.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    axis.set_xlabel(along, fontsize=8)
    axis.legend(fontsize=6)


def _grid(axis: Axes, rows: Sequence[Row], metric: str, down: str, right: str) -> None:
    downwards = sorted({row.axes[down] for row in rows})
    rightwards = sorted({row.axes[right] for row in rows})
    found = {(row.axes[down], row.axes[right]): row.mean.get(metric, float("nan")) for row in rows}
    values = [[found.get((y, x), float("nan")) for x in rightwards] for y in downwards]
    image = axis.imshow(values, aspect="auto", interpolation="nearest", cmap="viridis", origin="lower")
    if max(len(downwards), len(rightwards)) <= MOST_WRITTEN:
        low, high = image.get_clim()
        for y, line in enumerate(values):
            for x, value in enumerate(line):
                dark = high <= low or (value - low) / (high - low) < 0.6
                axis.text(x, y, f"{value:.3g}", ha="center", va="center", size=6, color="white" if dark else "black")
    axis.set_xticks(range(len(rightwards)), list(map(str, rightwards)))
    axis.set_yticks(range(len(downwards)), list(map(str, downwards)))
    axis.set_xlabel(right, fontsize=8)
    axis.set_ylabel(down, fontsize=8)
