"""A long short-term memory controller (Graves et al. 2014, section 3.4; no peepholes)."""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.controllers.stacked import Stacked, start_states
from ntm_toolkit.parts import Tensors
from ntm_toolkit.spec.declarations import Dims


class LSTM(Stacked):
    """c = f c + i g and h = o tanh(c), with gates i, f, o and candidate g from [x; r; h] (in this order of rows)."""

    def __init__(self, spec: LSTMSpec, dims: Dims) -> None:
        super().__init__(dims, spec.size, spec.layers, gates=4, scale=spec.init_scale, recurrent=True)
        names = [f"{name}{index}" for index in range(spec.layers) for name in ("h", "c")]
        self.starts = start_states(names, spec.size, spec.initial_state == "learned")
        with torch.no_grad():
            for index in range(spec.layers):
                self.layer(index).bias[spec.size : 2 * spec.size] = spec.forget_bias

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return h and c of each layer, (batch, size)."""
        return {name: start(batch) for name, start in self.starts.items()}

    def forward(self, inputs: Tensor, reads: Tensor, state: Tensors, *packed: Tensors) -> tuple[Tensor, Tensors]:
        """Return h (batch, size) of the last layer, and every layer's h and c."""
        below, new, size = reads, {}, self.size
        for index in range(len(self.layers)):
            mapped = self.affine(index, inputs, [below, state[f"h{index}"]], packed[0])
            in_gate, forget, out = torch.sigmoid(mapped[:, : 3 * size]).chunk(3, dim=-1)
            candidate = torch.tanh(mapped[:, 3 * size :])
            cell = torch.addcmul(in_gate * candidate, forget, state[f"c{index}"])
            below = out * torch.tanh(cell)
            new[f"h{index}"], new[f"c{index}"] = below, cell
        return below, new
