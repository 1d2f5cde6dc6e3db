"""Least-used access: which slots were used least, and writing there (Santoro et al. 2016, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ntm_toolkit.parts import Stage, Tensors, Tracker, View
from ntm_usage.specs import LeastUsedAccessSpec, LeastUsedSpec


class LeastUsed(Tracker):
    """The usage w^u of every slot, and the slots' ranks by it."""

    def __init__(self, spec: LeastUsedSpec) -> None:
        super().__init__()
        self.decay = spec.decay
        self.groups = spec.groups

    def before(self, state: Tensors, fields: Mapping[str, Tensors], view: View) -> Tensors:
        """Rank the slots by their usage up to the step before."""
        return {**state, "rank": ranks(state["usage"])}

    def after(self, state: Tensors, weightings: Tensors, view: View) -> Tensors:
        """Add the weightings of all heads that count."""
        usage = self.decay * state["usage"]
        for group in weightings if self.groups is None else self.groups:
            usage = usage + weightings[group].detach().sum(dim=1)
        return {**state, "usage": usage}


class LeastUsedAccess(Stage):
    """g w^r_{t-1} + (1 - g) w^lu_{t-1}."""

    def __init__(self, spec: LeastUsedAccessSpec) -> None:
        super().__init__()
        self.tracker = spec.tracker
        self.group = spec.group
        self.one_each = spec.share == "one-each"

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w^w (batch, heads, slots)."""
        heads = weighting.shape[1]
        rank = view.trackers[self.tracker]["rank"][:, None, :]
        # Ranks are whole numbers in a floating dtype, so they are compared half-way between them.
        if self.one_each:
            head = torch.arange(heads, dtype=rank.dtype, device=rank.device)[:, None]
            least = ((rank - head).abs() < 0.5).to(weighting.dtype)
        else:
            least = (rank < heads - 0.5).to(weighting.dtype) / heads
        there = view.groups[self.group]
        if there.shape[1] != heads:
            there = there.mean(dim=1, keepdim=True)
        return torch.lerp(least, there, fields["gate"])


def ranks(usage: Tensor) -> Tensor:
    """Return each slot's place (batch, slots) in ascending order of usage, from 0; equals keep the slots' order."""
    order = usage.argsort(dim=-1, stable=True)
    return order.argsort(dim=-1).to(usage.dtype)
