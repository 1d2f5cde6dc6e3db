"""What an ablation tells whoever watches it run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from ntm_toolkit.ablation.folder import Result, RunName


class Watch:
    """Whoever watches; all calls come from one thread. This one does nothing."""

    def start(self, runs: Sequence[RunName], done: Mapping[RunName, Result], total: int) -> None:
        """The ablation begins: of all `runs`, those in `done` have results; each trains on `total` sequences."""

    def started(self, run: RunName, sequences: int) -> None:
        """A run is being trained, from that many sequences on."""

    def progress(self, run: RunName, sequences: int, metrics: Mapping[str, float]) -> None:
        """A run has come so far; `metrics` are of its last evaluation, by label, and empty where it is none."""

    def stopped(self, run: RunName) -> None:
        """A run is being trained no more, and has no result yet."""

    def ended(self, run: RunName, result: Result) -> None:
        """A run has a result: what is in its result.json."""

    def message(self, text: str) -> None:
        """Something that a user should know, in one sentence."""

    def close(self) -> None:
        """Nothing more comes."""


class PlainLines(Watch):
    """Writes a line for each run that ends: for logs, and wherever there is no terminal.

    Args:
        stream: where to; standard error unless given.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._all, self._done = 0, 0

    def start(self, runs: Sequence[RunName], done: Mapping[RunName, Result], total: int) -> None:
        """Say how much there is to do."""
        self._all, self._done = len(runs), len(done)
        self.message(f"{self._all} runs of {total} sequences" + (f", {self._done} of them done before" if done else ""))

    def ended(self, run: RunName, result: Result) -> None:
        """Say how it ended."""
        self._done += 1
        self.message(f"{self._done}/{self._all}: {run}: {said(result)}")

    def message(self, text: str) -> None:
        """Say it."""
        print(text, file=self._stream, flush=True)


def said(result: Result) -> str:
    """Return in words how a run ended: `solved after 12000 sequences, bits_per_sequence 0.02 (41 s)`."""
    if result["status"] != "finished":
        return f"{result['status']} after {result['sequences']} sequences: {result['reason']}"
    how = f"solved after {result['solved_at']} sequences" if result["solved"] else "finished"
    measured = [f"{name} {value:.4g}" for name, value in result["measures"].items() if value is not None]
    return ", ".join([how, *measured]) + f" ({result['seconds']:.0f} s)"
