"""Ctrl-C and SIGTERM: the first is a request to stop at the next good moment, the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GivenUpError(Exception):
    """Work that can be done again later was given up because of a signal."""


class Interruption:
    """Inside `with Interruption() as interruption`, the first signal sets `requested` and nothing else.

    A second raises `KeyboardInterrupt` wherever the program is. Outside of the main thread, where Python delivers no
    signals, they stay as they are.

    Attributes:
        requested: whether a signal has come.
        signal: the number of the first.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not installed from Python, and cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def give_up(self) -> None:
        """Raise `GivenUpError` where a signal has come."""
        if self.requested:
            raise GivenUpError

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested, self.signal = True, number
