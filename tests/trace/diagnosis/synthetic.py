"""Weightings and outcomes made to show exactly one thing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ntm_toolkit.trace.diagnosis.errors import Outcomes
from ntm_toolkit.trace.diagnosis.walk import Walk, walk

SLOTS, BATCH, OUTPUTS = 32, 6, 4


def on_ring(places: Tensor, slots: int = SLOTS, width: float = 0.3) -> Tensor:
    """Weightings (..., slots) around places (...) on the ring, as sharp as `width` slots."""
    away = (places[..., None] - torch.arange(slots) + slots / 2) % slots - slots / 2
    return torch.softmax(-((away / width) ** 2), -1)


def walker(
    name: str, speed: float, steps: int, *, start: float = 0.0, writes: bool = False, width: float = 0.3
) -> Walk:
    """A head that moves by `speed` slots at each step, the first included."""
    places = start + speed * torch.arange(1, steps + 1, dtype=torch.float64)
    return walk(name, on_ring(places[:, None].expand(steps, BATCH), width=width), writes=writes)


def jumper(name: str, steps: int, seed: int = 0, *, writes: bool = False) -> Walk:
    """A head that goes to any slot at each step, as content addressing does."""
    places = torch.randint(0, SLOTS, (steps, BATCH), generator=torch.Generator().manual_seed(seed))
    return walk(name, on_ring(places.double()), writes=writes)


def steps(count: int) -> Tensor:
    """All steps of all sequences, (count, batch)."""
    return torch.ones(count, BATCH, dtype=torch.bool)


def phases(incoming: int, scored: int) -> tuple[Tensor, Tensor]:
    """The steps before the first scored one, and the rest."""
    first = torch.arange(incoming + scored)[:, None].expand(-1, BATCH) < incoming
    return first, ~first


def outcomes_of(wrong: Tensor, first: int = 10, blank: Tensor | None = None) -> Outcomes:
    """Outcomes with these shares of wrong outputs (scored steps, batch), of random bits."""
    count, batch = wrong.shape
    at = (first + torch.arange(count))[:, None].expand(count, batch)
    return Outcomes(
        wrong=wrong.double(),
        there=torch.ones(count, batch, dtype=torch.bool),
        targets=torch.full((count, OUTPUTS), batch / 2, dtype=torch.float64),
        at=at,
        first=torch.full((batch,), first),
        blank=torch.zeros(batch, dtype=torch.bool) if blank is None else blank,
    )


def guessed(count: int, batch: int, seed: int = 0) -> Tensor:
    """Shares of wrong outputs of who guesses each bit."""
    drawn = torch.rand(count, batch, OUTPUTS, generator=torch.Generator().manual_seed(seed))
    return (drawn < 0.5).double().mean(-1)


def angle_between(one: float, other: float, slots: int = SLOTS) -> float:
    """How far two places on the ring are from each other."""
    return abs(math.remainder(one - other, slots))
