"""Reading (Graves et al. 2014, section 3.1)."""

from __future__ import annotations

from torch import Tensor

from ntm_toolkit.parts import Head, HeadOutput, Tensors, View


class Read(Head):
    """r = sum_i w(i) M(i)."""

    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> HeadOutput:
        """Return the read vectors (batch, heads, width)."""
        return HeadOutput(reads=view.memory.read(weighting))
