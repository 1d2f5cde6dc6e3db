"""A watch that keeps what it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ntm_toolkit.ablation.folder import Result, RunName
from ntm_toolkit.ablation.watching import Watch


class Kept(Watch):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.done: list[RunName] = []
        self.began: list[tuple[RunName, int]] = []
        self.stops: list[RunName] = []
        self.results: dict[RunName, Result] = {}
        self.messages: list[str] = []
        self.metrics: dict[RunName, Mapping[str, float]] = {}
        self.closed = False

    def start(self, runs: Sequence[RunName], done: Mapping[RunName, Result], total: int) -> None:
        self.done = list(done)

    def started(self, run: RunName, sequences: int) -> None:
        self.began.append((run, sequences))

    def progress(self, run: RunName, sequences: int, metrics: Mapping[str, float]) -> None:
        self.metrics[run] = metrics

    def stopped(self, run: RunName) -> None:
        self.stops.append(run)

    def ended(self, run: RunName, result: Result) -> None:
        assert run not in self.results, "a run ends once"
        self.results[run] = result

    def message(self, text: str) -> None:
        self.messages.append(text)

    def close(self) -> None:
        self.closed = True
