"""A feedforward controller (Graves et al. 2014, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.controllers.specs import FeedforwardSpec
from ntm_toolkit.controllers.stacked import Stacked
from ntm_toolkit.parts import Tensors
from ntm_toolkit.spec.declarations import Dims

_FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


class Feedforward(Stacked):
    """h = f(W [x; r] + b), layer upon layer."""

    def __init__(self, spec: FeedforwardSpec, dims: Dims) -> None:
        super().__init__(dims, spec.size, spec.layers, gates=1, scale=spec.init_scale, recurrent=False)
        self.function = _FUNCTIONS[spec.activation]

    def forward(self, inputs: Tensor, reads: Tensor, state: Tensors, *packed: Tensors) -> tuple[Tensor, Tensors]:
        """Return h (batch, size) of the last layer."""
        output = reads
        for index in range(len(self.layers)):
            output = self.function(self.affine(index, inputs, [output], packed[0]))
        return output, {}
