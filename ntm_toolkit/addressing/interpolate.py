"""Interpolation with the weighting of the step before (Graves et al. 2014, section 3.3.2, eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.parts import Stage, Tensors, View


class Interpolate(Stage):
    """w_g = g w + (1 - g) w_{t-1}."""

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w_g (batch, heads, slots)."""
        return torch.lerp(view.previous, weighting, fields["gate"])
