"""Convolutional shift (Graves et al. 2014, section 3.3.2, eq. 8)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import ShiftSpec
from ntm_toolkit.parts import Stage, Tensors, View


class Shift(Stage):
    """w~(i) = sum_d w(i - d) s(d), for offsets d from -radius to radius."""

    def __init__(self, spec: ShiftSpec) -> None:
        super().__init__()
        self.radius = spec.radius
        self.circular = spec.circular
        self.scalar = spec.form == "scalar"
        self.offsets = "ascending" if self.scalar else spec.offsets

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w~ (batch, heads, slots)."""
        kernel = self._descending(fields["shift"])
        radius, slots = self.radius, weighting.shape[-1]
        if self.circular:
            padded = torch.cat((weighting[..., slots - radius :], weighting, weighting[..., :radius]), dim=-1)
        else:
            padded = torch.nn.functional.pad(weighting, (radius, radius))
        # Place m of window i holds w(i + m - radius), which is what offset radius - m brings to slot i.
        windows = padded.unfold(-1, 2 * radius + 1, 1)
        return (windows * kernel[..., None, :]).sum(-1)

    def _descending(self, shift: Tensor) -> Tensor:
        """Return the weight of each offset from radius down to -radius, (batch, heads, 2 radius + 1)."""
        if self.scalar:
            offsets = torch.arange(self.radius, -self.radius - 1, -1, dtype=shift.dtype, device=shift.device)
            return torch.relu(1 - (shift.clamp(-self.radius, self.radius) - offsets).abs())
        if self.offsets == "descending":
            return shift
        flipped = shift.flip(-1)
        return flipped if self.offsets == "ascending" else flipped.roll(self.radius + 1, -1)
