"""Writing: erase, then add (Graves et al. 2014, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.parts import Head, HeadOutput, Tensors, View


class Write(Head):
    """keep(i) = prod_h (1 - w_h(i) e_h) and add(i) = sum_h w_h(i) a_h: erases multiply, adds sum."""

    one: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> HeadOutput:
        """Return the change `keep` and `add`, each (batch, slots, width)."""
        return HeadOutput(change={"keep": self._keep(weighting, fields["erase"]), "add": weighting.mT @ fields["add"]})

    def _keep(self, weighting: Tensor, erase: Tensor) -> Tensor:
        # The test is on a shape, which never changes for a machine. A product over one head would be wasted work, most
        # of it in the backward pass; several heads make 1 - w e in one pass, so that both cases are two operations.
        if weighting.shape[1] == 1:
            return 1 - weighting.mT * erase
        return torch.addcmul(self.one, weighting[..., None], erase[..., None, :], value=-1).prod(dim=1)
