"""The matrix memory (Graves et al. 2014, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.parts import Memory, Tensors
from ntm_toolkit.spec.declarations import Dims


class Matrix(Memory):
    """M, (batch, slots, width). A change holds `keep` and `add`: M <- M * prod(keep) + sum(add)."""

    def __init__(self, spec: MatrixSpec, dims: Dims) -> None:
        super().__init__()
        self.start = spec.start.build((dims.slots, dims.width))

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return every sequence's memory at its start."""
        start: Tensor = self.start()
        return {"matrix": start.expand(batch, *start.shape)}

    def rows(self, state: Tensors) -> Tensor:
        """Return M."""
        return state["matrix"]

    def write(self, state: Tensors, changes: Sequence[Tensors]) -> Tensors:
        """Multiply all `keep`s, then sum all `add`s."""
        keep, add = changes[0]["keep"], changes[0]["add"]
        for change in changes[1:]:
            keep, add = keep * change["keep"], add + change["add"]
        return {"matrix": torch.addcmul(add, state["matrix"], keep)}
