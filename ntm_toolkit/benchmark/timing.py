"""Timing contestants side by side: in turns, so that a busy computer is busy for all of them, and by the median.

In training a step follows its like. So whose turn it is takes a step that is not timed before those that are: it finds
its data in the caches, and whatever threads the one before left spinning (OpenMP's do so for some milliseconds) have
come to rest. Without it the fused runtime took longer after eager than after itself; sleeping instead did not help.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ntm_toolkit.benchmark.contestants import Contestant

_PATIENCE = 15.0
"""Seconds after which a slow contestant is not asked for more than a few repetitions."""
_FEW = 3


@dataclass(frozen=True)
class Timing:
    """What one contestant took at one batch size; seconds, medians.

    Attributes:
        name: of the contestant.
        batch: sequences.
        steps: time steps of each.
        train: forward, backward, clipping and the optimiser's step; None for who computes gradients alone.
        forward_and_backward: these alone.
        first: what the first turn took beyond that: tracing, compiling, warming up.
        repetitions: how many of each were timed.
        memory: bytes that training takes (see `memory`), where they were measured.
        note: a warning that it gave, as when a runtime cannot serve and another does.
    """

    name: str
    batch: int
    steps: int
    train: float | None
    forward_and_backward: float
    first: float
    repetitions: int
    memory: int | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def compare(contestants: Sequence[Contestant], batch: int, steps: int, repeats: int) -> list[Timing]:
    """Return what each contestant took.

    Args:
        contestants: who are asked in turn.
        batch: for the record.
        steps: for the record.
        repeats: repetitions of each; slow contestants make do with fewer.
    """
    starts = [_first(contestant) for contestant in contestants]
    whole: list[list[float]] = [[] for _ in contestants]
    half: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for contestant, trained, computed in zip(contestants, whole, half, strict=True):
            if len(computed) >= _FEW and sum(trained) + sum(computed) > _PATIENCE:
                continue
            _seconds(contestant, contestant.work)
            if contestant.trains:
                trained.append(_seconds(contestant, contestant.train))
            computed.append(_seconds(contestant, contestant.forward_and_backward))
    return [
        Timing(
            name=contestant.name,
            batch=batch,
            steps=steps,
            train=statistics.median(trained) if trained else None,
            forward_and_backward=statistics.median(computed),
            first=max(0.0, first - statistics.median(trained or computed)),
            repetitions=len(computed),
            note=note,
        )
        for contestant, trained, computed, (first, note) in zip(contestants, whole, half, starts, strict=True)
    ]


def _first(contestant: Contestant) -> tuple[float, str]:
    """Return what the first turn took, and the first warning that came with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        taken = _seconds(contestant, contestant.work)
        contestant.work()
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]
    return taken, notes[0] if notes else ""


def _seconds(contestant: Contestant, work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    contestant.wait()
    return time.perf_counter() - begun
