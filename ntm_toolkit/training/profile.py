"""Where the time of a training goes: how long each part of an update takes, and what is done beside updates."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol


class Part(StrEnum):
    """What a training's time is spent on; the first nine make an update."""

    DATA = "data generation"
    FORWARD = "forward"
    LOSS = "loss"
    BACKWARD = "backward"
    CLIPPING = "gradient norm and clipping"
    OPTIMIZER = "optimiser"
    METRICS = "metrics"
    LOGGING = "logging"
    OTHER = "other"
    FIRST = "first update"
    EVALUATION = "evaluation"
    CHECKPOINT = "checkpoints"


_OF_MODEL = (Part.FORWARD, Part.LOSS, Part.BACKWARD)
_OF_UPDATE = (
    Part.DATA,
    Part.FORWARD,
    Part.LOSS,
    Part.BACKWARD,
    Part.CLIPPING,
    Part.OPTIMIZER,
    Part.METRICS,
    Part.LOGGING,
    Part.OTHER,
)


class Laps(Protocol):
    """Whoever is told when a part of a training is done."""

    def lap(self, part: Part) -> None:
        """All time since the last lap went to this part."""


class Unmeasured:
    """Takes no note of the time."""

    def lap(self, part: Part) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Share:
    """What one part took.

    Attributes:
        part: which.
        times: how often it was done.
        median: seconds, of once.
        mean: seconds, of once.
        total: seconds, of all times.
        share: of the whole time, 0 to 1.
    """

    part: str
    times: int
    median: float
    mean: float
    total: float
    share: float


class Profile:
    """Takes note of the time that each part of a training takes.

    The first update, in which kernels are compiled or loaded, is apart from the others.

    Args:
        wait: waits until the device has done its work, called at each lap; None where work is done when it returns.
        now: the clock, in seconds.
    """

    def __init__(self, wait: Callable[[], None] | None = None, now: Callable[[], float] = time.perf_counter) -> None:
        self._wait, self._now = wait, now
        self._seconds = {part: array("f") for part in Part}
        self._last: float | None = None

    def lap(self, part: Part) -> None:
        """All time since the last lap went to this part; the first lap begins."""
        if self._wait is not None:
            self._wait()
        now = self._now()
        if self._last is not None:
            self._seconds[part].append(now - self._last)
        self._last = now

    @property
    def shares(self) -> list[Share]:
        """What each part took, in their order; parts that took no time are left out."""
        updates = max(1, len(self._seconds[Part.OPTIMIZER]))
        # A batch that is run in parts has several passes an update.
        firsts = {part: max(1, round(len(self._seconds[part]) / updates)) for part in _OF_UPDATE}
        seconds = {part: taken[firsts.get(part, 0) :] for part, taken in self._seconds.items()}
        first = [sum(self._seconds[part][:count]) for part, count in firsts.items() if self._seconds[part]]
        seconds[Part.FIRST] = array("f", [sum(first)] if first else [])
        whole = sum(map(sum, seconds.values())) or 1.0
        return [
            Share(
                part.value, len(taken), statistics.median(taken), statistics.mean(taken), sum(taken), sum(taken) / whole
            )
            for part, taken in seconds.items()
            if taken
        ]

    @property
    def update(self) -> float:
        """Seconds of an update in the mean: some of what it takes is done for many updates at once."""
        return self._seconds_of(_OF_UPDATE)

    @property
    def beside_the_model(self) -> float:
        """The fraction of an update that is neither forward pass, loss nor backward pass, in the mean."""
        return 1 - self._seconds_of(_OF_MODEL) / self.update if self.update else 0.0

    def _seconds_of(self, parts: Sequence[Part]) -> float:
        updates = max(1, len(self._seconds[Part.OPTIMIZER]) - 1)
        return sum(share.total for share in self.shares if share.part in parts) / updates

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, in seconds."""
        return {
            "update": self.update,
            "beside_the_model": self.beside_the_model,
            "parts": [asdict(share) for share in self.shares],
        }
