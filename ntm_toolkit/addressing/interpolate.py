"""Interpolation with the weighting of the step before (Graves et al. 2014, section 3.3.2, eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import InterpolateSpec
from ntm_toolkit.parts import Stage, Tensors, View


class Interpolate(Stage):
    """w_g = g w + (1 - g) w_{t-1}, of its own group or of another."""

    def __init__(self, spec: InterpolateSpec) -> None:
        super().__init__()
        self.group = spec.group

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w_g (batch, heads, slots)."""
        before = view.previous if self.group is None else view.groups[self.group]
        if before.shape[1] != weighting.shape[1]:
            before = before.mean(dim=1, keepdim=True)
        return torch.lerp(before, weighting, fields["gate"])
