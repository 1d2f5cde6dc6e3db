"""A gated recurrent unit controller (Cho et al. 2014, in torch's form: the reset gate acts on the mapped past)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ntm_toolkit.controllers.specs import GRUSpec
from ntm_toolkit.controllers.stacked import Stacked, start_states
from ntm_toolkit.parts import Tensors, seeded
from ntm_toolkit.spec.declarations import Dims


class GRU(Stacked):
    """h = (1 - z) n + z h', with r, z = sigmoid(W [x; r] + U h') and n = tanh(W_n [x; r] + r (U_n h' + b))."""

    def __init__(self, spec: GRUSpec, dims: Dims) -> None:
        super().__init__(dims, spec.size, spec.layers, gates=3, scale=spec.init_scale, recurrent=False)
        self.recurrent = nn.ModuleList()
        for index in range(spec.layers):
            with seeded(f"recurrent.{index}"):
                linear = nn.Linear(spec.size, 3 * spec.size)
                bound = spec.init_scale / math.sqrt(spec.size)
                nn.init.uniform_(linear.weight, -bound, bound)
                nn.init.zeros_(linear.bias)
                self.recurrent.append(linear)
        names = [f"h{index}" for index in range(spec.layers)]
        self.starts = start_states(names, spec.size, spec.initial_state == "learned")

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return h of each layer, (batch, size)."""
        return {name: start(batch) for name, start in self.starts.items()}

    def forward(self, inputs: Tensor, reads: Tensor, state: Tensors, *packed: Tensors) -> tuple[Tensor, Tensors]:
        """Return h (batch, size) of the last layer, and every layer's h."""
        below, new, size = reads, {}, self.size
        for index, recurrent in enumerate(self.recurrent):
            past = state[f"h{index}"]
            mapped = self.affine(index, inputs, [below], packed[0])
            own = recurrent(past)
            reset, keep = torch.sigmoid(mapped[:, : 2 * size] + own[:, : 2 * size]).chunk(2, dim=-1)
            candidate = torch.tanh(torch.addcmul(mapped[:, 2 * size :], reset, own[:, 2 * size :]))
            below = torch.lerp(candidate, past, keep)
            new[f"h{index}"] = below
        return below, new
