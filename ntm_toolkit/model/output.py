"""The epilogue: from what every step ended with to the model's outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ntm_toolkit.model.specs import OutputSpec
from ntm_toolkit.parts import Tree, seeded
from ntm_toolkit.spec.declarations import Dims


class Output(nn.Module):
    """y = W_h h + sum over reading groups of W_r r + b, for all steps at once; weights are stored by source."""

    def __init__(self, spec: OutputSpec, dims: Dims) -> None:
        super().__init__()
        self.groups = tuple(dims.reads) if spec.sees == "controller-and-reads" else ()
        self.paths = ["controller", *(f"reads.{group}" for group in self.groups)]
        self.weights = Tree()
        for path, size in zip(self.paths, [dims.hidden, *(dims.reads[group] for group in self.groups)], strict=True):
            linear = nn.Linear(size, dims.outputs, bias=False)
            with seeded(path):
                nn.init.xavier_uniform_(linear.weight, spec.gain)
            self.weights[path] = linear
        with seeded("bias"):
            self.bias = nn.Parameter(torch.randn(dims.outputs) * spec.bias_scale)
        self.clamp = spec.clamp

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return (time, batch, outputs) of features (time, batch, size): the controller's, then each group's."""
        outputs: Tensor = self.bias
        for path, feature in zip(self.paths, features, strict=True):
            outputs = outputs + self.weights[path](feature)
        return outputs if self.clamp is None else outputs.clamp(-self.clamp, self.clamp)
