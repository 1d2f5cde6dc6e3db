"""Sampling one slot from a weighting, differentiably (Jang et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.parts import Stage, Tensors, View
from ntm_usage.specs import GumbelSpec


class Gumbel(Stage):
    """softmax((log w + G) / tau), or the one-hot of its largest element with its gradient."""

    def __init__(self, spec: GumbelSpec) -> None:
        super().__init__()
        self.temperature = spec.temperature
        self.straight_through = spec.straight_through
        self.epsilon = spec.epsilon

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return the sample (batch, heads, slots); `view.noise` holds `gumbel` of that shape."""
        scores = ((weighting + self.epsilon).log() + view.noise["gumbel"]) / self.temperature
        relaxed = torch.softmax(scores, dim=-1)
        if not self.straight_through:
            return relaxed
        taken = torch.zeros_like(relaxed).scatter(-1, scores.argmax(-1, keepdim=True), 1.0)
        # The difference is exactly 0 and carries the relaxed sample's gradient.
        return taken + (relaxed - relaxed.detach())
