"""What a training tells whoever watches it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from ntm_toolkit.training.rows import Row


class Progress(Protocol):
    """Whoever watches a training; the calls come from the training's own thread, in this order."""

    def start(self, total: int, done: int) -> None:
        """Training begins: `done` of `total` sequences have been trained on already."""

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        """Training goes on; called several times a second at most.

        Args:
            sequences: how many have been trained on, of the total.
            rate: sequences in a second, lately.
            metrics: of the last line of training metrics; empty before the first.
        """

    def evaluation(self, rows: Sequence[Row]) -> None:
        """Held-out sequences were measured, for the stop rules or at the end."""

    def message(self, text: str) -> None:
        """Something that a user should know, in one sentence."""

    def close(self) -> None:
        """Nothing more comes."""


class Silent:
    """Watches nothing."""

    def start(self, total: int, done: int) -> None:
        """Say nothing."""

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        """Say nothing."""

    def evaluation(self, rows: Sequence[Row]) -> None:
        """Say nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class PlainLines:
    """Writes a line now and then: for logs, and wherever there is no terminal.

    Args:
        stream: where to; standard error unless given.
        every: seconds between two lines of progress, at least.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._last = float("-inf")
        self._total = 0

    def start(self, total: int, done: int) -> None:
        """Say where training begins."""
        self._total = total
        self._say(f"training on {total} sequences" + (f", from {done} on" if done else ""))

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        """Say how far training is, unless that was said just before."""
        now = time.monotonic()
        if metrics and now - self._last >= self._every:
            self._last = now
            self._say(f"{sequences}/{self._total} sequences, {rate:.1f}/s, {_listed(metrics)}")

    def evaluation(self, rows: Sequence[Row]) -> None:
        """Say what was measured, a line for each setting."""
        for row in rows:
            self._say(f"held out, {row.label}, {row.sequences} sequences: {_listed(row.mean)}")

    def message(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def close(self) -> None:
        """Nothing is left to be said."""

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def _listed(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
