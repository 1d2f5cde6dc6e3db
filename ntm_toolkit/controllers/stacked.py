"""What feedforward, LSTM and GRU controllers share: a stack of layers whose weights are stored by source.

The weights of the input, of each reading group and of a layer's own past are parameters of their own, so that a head
group can be removed without touching any other parameter's name, shape or start. They are put side by side once a
sequence, and the input's part of the first layer is computed for all steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ntm_toolkit.parts import Controller, Tensors, Tree, seeded
from ntm_toolkit.spec.declarations import Dims


class SourcedLinear(nn.Module):
    """sum_s W_s s + b, for named sources s.

    Args:
        sources: the size of each source, by path, in the order in which they are put side by side.
        rows: size of the result.
        bound: weights start uniform in (-bound, bound), biases at 0. It must not depend on which sources there are.
    """

    def __init__(self, sources: Mapping[str, int], rows: int, bound: float) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.weights = Tree()
        for path, size in sources.items():
            linear = nn.Linear(size, rows, bias=False)
            with seeded(path):
                nn.init.uniform_(linear.weight, -bound, bound)
            self.weights[path] = linear
        self.bias = nn.Parameter(torch.zeros(rows))

    def weight(self, paths: Sequence[str]) -> Tensor:
        """Return the weights of those sources side by side, (rows, sum of their sizes)."""
        weights = [self.weights[path].weight for path in paths]
        return weights[0] if len(weights) == 1 else torch.cat(weights, dim=1)


class Stacked(Controller):
    """A stack of layers: the first sees the input and the reads, each other the output of the one below.

    Args:
        dims: sizes of the input and the reads.
        size: units of each layer.
        layers: how many layers.
        gates: blocks of `size` rows in each layer's map.
        scale: weights start uniform in +-scale/sqrt(size).
        recurrent: whether a layer's map also sees the layer's output of the step before.
    """

    def __init__(self, dims: Dims, size: int, layers: int, *, gates: int, scale: float, recurrent: bool) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.ModuleList()
        for index in range(layers):
            reads = {f"reads.{group}": read_size for group, read_size in dims.reads.items()}
            sources = {"below": size} if index else {"input": dims.inputs, **reads}
            if recurrent:
                sources["hidden"] = size
            with seeded(f"layers.{index}"):
                self.layers.append(SourcedLinear(sources, gates * size, scale / math.sqrt(size)))

    def layer(self, index: int) -> SourcedLinear:
        """Return the map of that layer."""
        layer = self.layers[index]
        assert isinstance(layer, SourcedLinear)
        return layer

    def project(self, inputs: Tensor) -> Tensor:
        """Return W_x x + b of the first layer for all steps, (time, batch, gates * size)."""
        return functional.linear(inputs, self.layer(0).weight(["input"]), self.layer(0).bias)

    def pack(self) -> dict[str, Tensor]:
        """Return for each layer the weights that a step multiplies, and for those above the first the bias."""
        packed = {}
        for index in range(len(self.layers)):
            layer = self.layer(index)
            stepwise = [path for path in layer.sources if path != "input"]
            if stepwise:
                packed[f"weight{index}"] = layer.weight(stepwise)
            if index:
                packed[f"bias{index}"] = layer.bias
        return packed

    def affine(self, index: int, projected: Tensor, sources: Sequence[Tensor], packed: Tensors) -> Tensor:
        """Return the map of a layer, (batch, gates * size), of the sources that a step provides.

        Args:
            index: which layer.
            projected: the input's part, for layer 0; not used above it.
            sources: reads or the layer below, then the layer's own past where it has one; each (batch, size).
            packed: what `pack` returned.
        """
        if f"weight{index}" not in packed:
            return projected
        together = sources[0] if len(sources) == 1 else torch.cat(tuple(sources), dim=-1)
        bias = projected if index == 0 else packed[f"bias{index}"]
        return torch.addmm(bias, together, packed[f"weight{index}"].t())


class StartState(nn.Module):
    """Where a recurrent layer's state starts: at zero, or at a trained vector that begins as small random numbers."""

    def __init__(self, size: int, learned: bool) -> None:
        super().__init__()
        if learned:
            self.value: Tensor = nn.Parameter(torch.randn(size) * 0.05)
        else:
            self.register_buffer("value", torch.zeros(size), persistent=False)

    def forward(self, batch: int) -> Tensor:
        """Return it for every sequence, (batch, size)."""
        return self.value.expand(batch, -1)


def start_states(names: Sequence[str], size: int, learned: bool) -> nn.ModuleDict:
    """Return the named start states, each seeded by its name."""
    starts = nn.ModuleDict()
    for name in names:
        with seeded(f"start.{name}"):
            starts[name] = StartState(size, learned)
    return starts
