"""Least-recently-used addressing (Gulcehre et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.parts import Stage, Tensors, View
from ntm_usage.specs import LeastRecentlyUsedSpec


class LeastRecentlyUsed(Stage):
    """softmax(z_t - g_t v_{t-1})."""

    def __init__(self, spec: LeastRecentlyUsedSpec) -> None:
        super().__init__()
        self.decay = spec.decay
        self.epsilon = spec.epsilon

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> tuple[Tensor, Tensors]:
        """Return w (batch, heads, slots), and the average v_t of that shape."""
        average = state[0]["average"]
        logits = (weighting + self.epsilon).log()
        avoiding = torch.softmax(logits - fields["avoidance"] * average, dim=-1)
        return avoiding, {"average": self.decay * average + (1 - self.decay) * logits.detach()}
