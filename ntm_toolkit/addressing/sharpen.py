"""Sharpening (Graves et al. 2014, section 3.3.2, eq. 9)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import SharpenSpec
from ntm_toolkit.parts import Stage, Tensors, View


class Sharpen(Stage):
    """w = w~^gamma / sum w~^gamma."""

    def __init__(self, spec: SharpenSpec) -> None:
        super().__init__()
        self.epsilon = spec.epsilon
        self.in_logs = spec.form == "log"

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w (batch, heads, slots)."""
        if self.in_logs:
            return torch.softmax(fields["sharpness"] * (weighting + self.epsilon).log(), dim=-1)
        powered = weighting ** fields["sharpness"]
        return powered / (powered.sum(-1, keepdim=True) + self.epsilon)
