"""A figure of timings: milliseconds a step over the batch size, a line for each contestant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ntm_toolkit.benchmark.timing import Timing
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.atomic import reporting


def write_plot(timings: Sequence[Timing], title: str, path: Path) -> None:
    """Draw timings into a file, in the format of its ending.

    Args:
        timings: of one or more contestants and batch sizes.
        title: what was timed, on what machine.
        path: the file, such as times.png or times.svg.

    Raises:
        ToolkitError: there is no such format, or the file cannot be written.
    """
    check_ending(path)
    figure = draw(timings, title)
    with reporting("write it", path):
        figure.savefig(path, dpi=150)


def check_ending(path: Path) -> None:
    """Raise `ToolkitError` where a file's ending is no format of figures."""
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in formats:
        known = ", ".join(f".{name}" for name in sorted(formats))
        raise ToolkitError(f"--plot: the ending of {path} says no format; use one of {known}")


def draw(timings: Sequence[Timing], title: str) -> Figure:
    """Return the figure: whole training steps solid, and dashed the gradients alone of who computes no more."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for name in dict.fromkeys(timing.name for timing in timings):
        own = sorted((timing for timing in timings if timing.name == name), key=lambda timing: timing.batch)
        partial = own[0].train is None
        axis.plot(
            [timing.batch for timing in own],
            [1000 * (timing.forward_and_backward if timing.train is None else timing.train) for timing in own],
            marker="o",
            linestyle="--" if partial else "-",
            label=f"{name} (forward and backward)" if partial else name,
        )
    batches = sorted({timing.batch for timing in timings})
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(batches, [str(batch) for batch in batches])
    axis.minorticks_off()
    axis.set_xlabel("batch")
    axis.set_ylabel("ms a training step")
    axis.grid(alpha=0.3)
    axis.set_title(title, fontsize=8)
    axis.legend(fontsize=8)
    return figure
