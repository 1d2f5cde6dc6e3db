"""The progress bar of a training on a terminal; elsewhere there are plain lines, `ntm_toolkit.training.progress`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ntm_toolkit.cli.output import number

if TYPE_CHECKING:
    from ntm_toolkit.training.rows import Row


class Bar:
    """Shows how far a training is, how fast, what is left, and what was measured last, whatever the metrics are.

    It implements `ntm_toolkit.training.progress.Progress`.

    Args:
        console: where to; standard error unless given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        # Drawn by the training's own thread, when there is something new.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._total, self._sequences, self._rate = 0, 0, 0.0
        self._metrics: Mapping[str, float] = {}
        self._rows: Sequence[Row] = ()

    def start(self, total: int, done: int) -> None:
        """Draw the bar."""
        self._total, self._sequences = total, done
        self._live.start()
        self._draw()

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        """Move it."""
        self._sequences, self._rate, self._metrics = sequences, rate, metrics
        self._draw()

    def evaluation(self, rows: Sequence[Row]) -> None:
        """Show what was measured, below the bar."""
        self._rows = rows
        self._draw()

    def message(self, text: str) -> None:
        """Print it, above the bar."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Remove the bar."""
        self._live.stop()

    def _draw(self) -> None:
        if self._live.is_started:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=max(self._total, 1), completed=self._sequences, width=30),
            Text(f"{self._sequences:,}/{self._total:,} sequences"),
            Text(f"{self._rate:,.1f}/s" if self._rate else ""),
            Text(f"{duration((self._total - self._sequences) / self._rate)} left" if self._rate else ""),
        )
        measured = [Text(f"training: {listed(self._metrics)}")] if self._metrics else []
        measured += [Text(f"held out, {row.label}: {listed(row.mean)}") for row in self._rows]
        for text in measured:
            text.truncate(max(self._console.width - 1, 20), overflow="ellipsis")
        return Group(line, *measured)


def listed(metrics: Mapping[str, float]) -> str:
    """Return metrics in one line: `bits per sequence 1.25, bit errors 0`."""
    return ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in metrics.items())


def duration(seconds: float) -> str:
    """Return a time in words: `45 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    whole = max(round(seconds), 0)
    for size, unit, smaller, smaller_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{whole} s"
