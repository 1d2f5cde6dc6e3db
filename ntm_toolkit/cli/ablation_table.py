"""The live table of an ablation on a terminal: what is done, running and failed, the best so far, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ntm_toolkit.ablation.folder import Result, RunName
from ntm_toolkit.ablation.watching import Watch, said
from ntm_toolkit.cli.output import number
from ntm_toolkit.cli.progress import duration

_DRAWN_EVERY = 0.25
_BESIDE = 8
"""Lines of a terminal that are not rows of the table."""


@dataclass
class _Tally:
    """How a variant stands."""

    runs: int = 0
    done: int = 0
    failed: int = 0
    solved: int = 0
    best: float | None = None
    running: dict[int, int] = field(default_factory=dict)

    def see(self, metrics: Mapping[str, float | None], metric: str | None) -> None:
        value = metrics.get(metric) if metric is not None else None
        if value is not None and value == value and (self.best is None or value < self.best):
            self.best = value


class LiveTable(Watch):
    """Shows how an ablation stands.

    Args:
        metric: the label of the metric whose smallest value is shown; None for none.
        console: where to; standard error unless given.
        now: a clock, in seconds.
    """

    def __init__(
        self, metric: str | None, console: Console | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._metric, self._now = metric, now
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._variants: dict[str, _Tally] = {}
        self._total, self._drawn, self._began = 0, float("-inf"), now()
        self._trained, self._to_train = 0, 0
        self._came_to: dict[RunName, int] = {}

    def start(self, runs: Sequence[RunName], done: Mapping[RunName, Result], total: int) -> None:
        """Draw the table."""
        self._total, self._began = total, self._now()
        for run in runs:
            self._variants.setdefault(run.variant, _Tally()).runs += 1
        for run, result in done.items():
            self._count(run, result)
        self._to_train = total * (len(runs) - len(done))
        self._live.start()
        self._draw(at_once=True)

    def started(self, run: RunName, sequences: int) -> None:
        """Show it among those that are running."""
        self._variants[run.variant].running[run.seed] = sequences
        self._to_train -= max(sequences - self._came_to.get(run, 0), 0)
        self._came_to[run] = sequences
        self._draw(at_once=True)

    def progress(self, run: RunName, sequences: int, metrics: Mapping[str, float]) -> None:
        """Show how far it is, and what is the best now."""
        tally = self._variants[run.variant]
        tally.running[run.seed] = sequences
        tally.see(metrics, self._metric)
        self._train(run, sequences)
        self._draw()

    def stopped(self, run: RunName) -> None:
        """Show it no more among those that are running."""
        self._variants[run.variant].running.pop(run.seed, None)
        self._draw(at_once=True)

    def ended(self, run: RunName, result: Result) -> None:
        """Count it, and print how it ended where it failed."""
        self._variants[run.variant].running.pop(run.seed, None)
        self._count(run, result)
        if result["sequences"] >= self._total:
            self._train(run, self._total)
        else:  # what is left of it will not be trained
            self._to_train -= self._total - self._came_to.get(run, 0)
        if result["status"] != "finished":
            self.message(f"{run}: {said(result)}")
        self._draw(at_once=True)

    def message(self, text: str) -> None:
        """Print it, above the table."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()

    def _count(self, run: RunName, result: Result) -> None:
        tally = self._variants[run.variant]
        tally.done += 1
        tally.failed += result["status"] != "finished"
        tally.solved += bool(result["solved"])
        for point in result["curve"]:
            tally.see(point["metrics"], self._metric)

    def _train(self, run: RunName, sequences: int) -> None:
        more = sequences - self._came_to.get(run, 0)
        if more > 0:
            self._trained += more
            self._to_train -= more
            self._came_to[run] = sequences

    def _left(self) -> str:
        """Return the time left, by how long it has taken to train what has been trained."""
        seconds = self._now() - self._began
        if not self._trained or seconds <= 0:
            return ""
        return f"about {duration(max(self._to_train, 0) * seconds / self._trained)} left"

    def _draw(self, at_once: bool = False) -> None:
        now = self._now()
        if self._live.is_started and (at_once or now - self._drawn >= _DRAWN_EVERY):
            self._drawn = now
            self._live.update(self.picture(), refresh=True)

    def picture(self) -> Group:
        """Return what is drawn."""
        tallies = self._variants.values()
        runs, done = sum(tally.runs for tally in tallies), sum(tally.done for tally in tallies)
        running, failed = sum(len(tally.running) for tally in tallies), sum(tally.failed for tally in tallies)
        line = Table.grid(padding=(0, 2))
        counts = f"{done:,}/{runs:,} runs done, {running} running" + (f", {failed} failed" if failed else "")
        bar = ProgressBar(total=max(runs * self._total, 1), completed=runs * self._total - self._to_train, width=30)
        line.add_row(bar, Text(counts), Text(self._left()))
        return Group(line, self._table())

    def _table(self) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("variant", overflow="ellipsis", no_wrap=True, ratio=1)
        headings = ["done", "running", "failed", "solved", *([f"best {self._metric}"] if self._metric else [])]
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        fits = max(self._console.height - _BESIDE, 3)
        # Those at work come first where not all fit, then those that are the furthest.
        order = list(self._variants.items())
        if len(order) > fits:
            order.sort(key=lambda item: (not item[1].running, item[1].done == item[1].runs))
        for name, tally in order[:fits]:
            at = " ".join(f"{done / max(self._total, 1):.0%}" for done in tally.running.values())
            cells = [f"{tally.done}/{tally.runs}", at, str(tally.failed or ""), f"{tally.solved}/{tally.done}"]
            cells += [number(tally.best)] if self._metric else []
            table.add_row(Text(name), *map(Text, cells))
        if len(order) > fits:
            table.add_row(Text(f"and {len(order) - fits} more"))
        return table
