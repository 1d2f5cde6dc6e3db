"""Softmax over the slots."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.parts import Normalizer


class Softmax(Normalizer):
    """exp(s(i)) / sum_j exp(s(j))."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return the weighting (batch, heads, slots) of scores of that shape."""
        return torch.softmax(scores, dim=-1)
