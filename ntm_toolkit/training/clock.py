"""How long a training has taken, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_RATE_OVER = 5.0


class Clock:
    """Seconds of training over all sessions, and sequences per second lately, but for pauses between updates.

    Args:
        seconds: of earlier sessions.
        sequences: trained on in these.
        now: the time, in seconds.
    """

    def __init__(self, seconds: float, sequences: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._zero = now() - seconds
        self._marks = [(now(), sequences)]
        self._shown = now()

    @property
    def seconds(self) -> float:
        """Seconds over all sessions."""
        return self._now() - self._zero

    def shown_ago(self) -> float:
        """Return the seconds since the rate was last asked for."""
        return self._now() - self._shown

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave what is done in this block, such as an evaluation, out of the rate."""
        begun = self._now()
        yield
        now = self._now()
        self._marks = [(min(at + now - begun, now), sequences) for at, sequences in self._marks]

    def rate(self, sequences: int) -> float:
        """Return the sequences per second over about the last five seconds, and take note of these."""
        now = self._shown = self._now()
        while len(self._marks) > 1 and now - self._marks[1][0] >= _RATE_OVER:
            del self._marks[0]
        since, done = self._marks[0]
        self._marks.append((now, sequences))
        return (sequences - done) / (now - since) if now > since else 0.0
