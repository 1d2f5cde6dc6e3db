"""Cosine similarity of keys and slots (Graves et al. 2014, eq. 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import CosineSpec
from ntm_toolkit.parts import MemoryView, Similarity


def row_norms(memory: MemoryView) -> Tensor:
    """Return |M(i)|, (batch, slots)."""
    return _norms(memory.rows)


class Cosine(Similarity):
    """k . M(i) / (|k| |M(i)|), (batch, heads, slots)."""

    def __init__(self, spec: CosineSpec) -> None:
        super().__init__()
        self.epsilon = spec.epsilon
        self.epsilon_in = spec.epsilon_in

    def forward(self, keys: Tensor, memory: MemoryView) -> Tensor:
        """Return the similarity (batch, heads, slots), in [-1, 1], of keys (batch, heads, width)."""
        rows = memory.rows
        if self.epsilon_in == "operands":
            # As in loudinthecloud/pytorch-ntm, which adds to both vectors and then divides by torch's bounded norms.
            keys, rows = keys + self.epsilon, rows + self.epsilon
            key_norms, row_lengths = _norms(keys).clamp_min(1e-8), _norms(rows).clamp_min(1e-8)
        elif self.epsilon_in == "squares":
            key_norms, row_lengths = _smooth_norms(keys, self.epsilon), _smooth_norms(rows, self.epsilon)
        elif self.epsilon_in == "maximum":
            key_norms = _norms(keys).clamp_min(self.epsilon)
            row_lengths = memory.derived(row_norms).clamp_min(self.epsilon)
        else:
            key_norms, row_lengths = _norms(keys), memory.derived(row_norms)
        product = key_norms[..., None] * row_lengths[:, None, :]
        if self.epsilon_in in ("denominator", "squares"):
            product = product + self.epsilon
        return (keys @ rows.mT) / product


def _norms(vectors: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return norms


def _smooth_norms(vectors: Tensor, epsilon: float) -> Tensor:
    return (vectors.square().sum(-1) + epsilon).sqrt()
