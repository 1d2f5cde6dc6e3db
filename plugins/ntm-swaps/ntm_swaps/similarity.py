"""Similarities of keys and slots beside the paper's cosine: dot product and negative squared distance."""

from __future__ import annotations

from torch import Tensor

from ntm_toolkit.parts import MemoryView, Similarity


def squared_row_norms(memory: MemoryView) -> Tensor:
    """Return |M(i)|^2, (batch, slots)."""
    return memory.rows.square().sum(-1)


class DotProduct(Similarity):
    """k . M(i)."""

    def forward(self, keys: Tensor, memory: MemoryView) -> Tensor:
        """Return scores (batch, heads, slots) of keys (batch, heads, width)."""
        return keys @ memory.rows.mT


class NegativeDistance(Similarity):
    """-|k - M(i)|^2 = 2 k . M(i) - |k|^2 - |M(i)|^2, of which |M(i)|^2 is computed once for all heads.

    Rounding may leave a score slightly above 0 where key and slot are almost equal.
    """

    def forward(self, keys: Tensor, memory: MemoryView) -> Tensor:
        """Return scores (batch, heads, slots) of keys (batch, heads, width)."""
        rows = memory.derived(squared_row_norms)[:, None, :]
        return 2 * (keys @ memory.rows.mT) - keys.square().sum(-1, keepdim=True) - rows
