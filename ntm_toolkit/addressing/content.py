"""Focusing by content (Graves et al. 2014, section 3.3.1, eq. 5)."""

from __future__ import annotations

from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.parts import Stage, Tensors, View
from ntm_toolkit.spec.declarations import Dims


class Content(Stage):
    """w_c = normalizer(beta * similarity(k, M))."""

    def __init__(self, spec: ContentSpec, dims: Dims) -> None:
        super().__init__()
        self.similarity = spec.similarity.build(dims)
        self.normalizer = spec.normalizer.build(dims)

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w_c (batch, heads, slots); what came in is not used."""
        scores: Tensor = fields["strength"] * self.similarity(fields["key"], view.memory)
        focused: Tensor = self.normalizer(scores)
        return focused
