"""How a head moves over the ring of slots, from its weighting at each step: circular statistics (Fisher 1993).

A weighting w is a distribution over a circle: its mean direction is the angle of sum_i w_i exp(2 pi i / N), and the
length of that sum says how concentrated it is, 1 for a single slot and 0 for all slots alike. Of content addressing,
by which a head jumps, this says that it moves unsteadily; of location addressing it says the speed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOUR = 2.0
"""Slots from a head's usual move within which another counts as the same walk; further is a jump."""


@dataclass(frozen=True)
class Walk:
    """Where one head was at each step of some sequences.

    Attributes:
        name: the head's: its group's, with a number where the group has several.
        slots: N.
        place: the mean slot, (time, batch), in [0, N).
        concentration: 1 where it is on a single slot, 0 where it is spread over the ring, (time, batch).
        breadth: over about how many slots it is spread, exp of its entropy, (time, batch); 1 where on a single one.
        mass: what its weights sum to, (time, batch).
        writes: whether it changes the memory.
        may_lose_mass: whether its addressing says that its weights may sum to less than one.
    """

    name: str
    slots: int
    place: Tensor
    concentration: Tensor
    breadth: Tensor
    mass: Tensor
    writes: bool = False
    may_lose_mass: bool = False


@dataclass(frozen=True)
class Drift:
    """How a head moves during some steps.

    Attributes:
        speed: slots a step, negative where it walks towards slot 0; jumps apart.
        steadiness: the share of steps at which it is concentrated and moves so, from 0 to 1.
    """

    speed: float
    steadiness: float


def walk(name: str, weighting: Tensor, *, writes: bool = False, may_lose_mass: bool = False) -> Walk:
    """Return where a head was.

    Args:
        name: the head's.
        weighting: (time, batch, slots), at least 0.
        writes: whether it changes the memory.
        may_lose_mass: whether its addressing says that its weights may sum to less than one.
    """
    weighting = weighting.double()
    slots = weighting.shape[-1]
    angles = torch.arange(slots, dtype=torch.float64, device=weighting.device) * (2 * math.pi / slots)
    mass = weighting.sum(-1)
    share = weighting / mass.clamp_min(1e-12)[..., None]
    mean = torch.complex(share @ angles.cos(), share @ angles.sin())
    return Walk(
        name=name,
        slots=slots,
        place=(mean.angle() * (slots / (2 * math.pi))) % slots,
        concentration=mean.abs().clamp(max=1.0),
        breadth=torch.special.entr(share).sum(-1).exp(),
        mass=mass,
        writes=writes,
        may_lose_mass=may_lose_mass,
    )


def walks(weightings: Mapping[str, Tensor], writing: Mapping[str, bool], losing: Mapping[str, bool]) -> list[Walk]:
    """Return where each head of some groups was.

    Args:
        weightings: by group, (time, batch, heads, slots).
        writing: by group, whether its heads change the memory.
        losing: by group, whether its addressing says that weights may sum to less than one.
    """
    return [
        walk(
            group if weighting.shape[2] == 1 else f"{group} {head}",
            weighting[:, :, head],
            writes=writing[group],
            may_lose_mass=losing[group],
        )
        for group, weighting in weightings.items()
        for head in range(weighting.shape[2])
    ]


def moves(head: Walk) -> Tensor:
    """Return by how many slots it moved from each step to the next, (time - 1, batch), in [-N/2, N/2)."""
    half = head.slots / 2
    return (head.place.diff(dim=0) + half) % head.slots - half


def drift(head: Walk, during: Tensor) -> Drift | None:
    """Return how a head moves, over all sequences at once; None where there are no two steps in a row.

    Moves are weighted by how concentrated the head is before and after, as the place of one that is spread means
    nothing. The speed is the mean of the moves around their median: walking on and jumping back are told apart.

    Args:
        head: where it was.
        during: (time, batch), True at the steps that count.
    """
    both = during[1:] & during[:-1]
    count = int(both.sum())
    if not count:
        return None
    moved = moves(head)[both]
    weight = torch.minimum(head.concentration[1:], head.concentration[:-1])[both]
    total = float(weight.sum())
    if total <= 0:
        return Drift(0.0, 0.0)
    moved, order = moved.sort()
    weight = weight[order]
    usual = moved[int((weight.cumsum(0) < total / 2).sum())]
    weight = weight * ((moved - usual).abs() <= NEIGHBOUR)
    return Drift(float((weight * moved).sum() / weight.sum()), float(weight.sum()) / count)
