"""A linear interface, plain, clamped, or layer-normalized."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ntm_toolkit.interface.specs import LayerNormSpec, LinearSpec
from ntm_toolkit.parts import FieldSlot, Interface, Tensors, Tree, seeded


class FieldMap(nn.Module):
    """The rows of one field: weight (heads, size, hidden) and bias (heads, size), and a gain where one is used."""

    def __init__(self, slot: FieldSlot, hidden: int, gain: float, bias_scale: float, *, has_gain: bool) -> None:
        super().__init__()
        bound = gain * math.sqrt(6 / (hidden + slot.size))
        weights, biases = [], []
        for head in range(slot.heads):
            with seeded(str(head)):
                weights.append((2 * torch.rand(slot.size, hidden) - 1) * bound)
                # Apart: what a controller's size draws for the weights must not move the biases.
                with seeded("bias"):
                    biases.append(torch.randn(slot.size) * bias_scale)
        self.weight = nn.Parameter(torch.stack(weights))
        self.bias = nn.Parameter(torch.stack(biases))
        if has_gain:
            self.gain = nn.Parameter(torch.ones(slot.heads, slot.size))


class Linear(Interface):
    """raw = W h + b; parameters are stored by field and packed into one matrix once a sequence."""

    has_gain = False

    def __init__(self, spec: LinearSpec | LayerNormSpec, hidden: int, slots: Sequence[FieldSlot]) -> None:
        super().__init__()
        self.paths = [slot.path for slot in slots]
        self.clamp = spec.clamp if isinstance(spec, LinearSpec) else None
        self.fields = Tree()
        for slot in slots:
            with seeded(slot.path):
                self.fields[slot.path] = FieldMap(slot, hidden, spec.gain, spec.bias_scale, has_gain=self.has_gain)

    def pack(self) -> dict[str, Tensor]:
        """Return W (total, hidden) and b (total), and where there is one the gain (total)."""
        maps = [self.fields[path] for path in self.paths]
        names = ("weight", "bias", "gain") if self.has_gain else ("weight", "bias")
        return {name: _together([getattr(field, name) for field in maps]) for name in names}

    def forward(self, output: Tensor, packed: Tensors) -> Tensor:
        """Return raw fields (batch, total)."""
        raw = torch.addmm(packed["bias"], output, packed["weight"].t())
        return raw if self.clamp is None else raw.clamp(-self.clamp, self.clamp)


class LayerNormed(Linear):
    """raw = gain * normalized(W h) + b."""

    has_gain = True

    def __init__(self, spec: LayerNormSpec, hidden: int, slots: Sequence[FieldSlot]) -> None:
        super().__init__(spec, hidden, slots)
        self.epsilon = spec.epsilon

    def forward(self, output: Tensor, packed: Tensors) -> Tensor:
        """Return raw fields (batch, total)."""
        mapped = output @ packed["weight"].t()
        return functional.layer_norm(mapped, mapped.shape[-1:], packed["gain"], packed["bias"], self.epsilon)


def _together(rows: Sequence[Tensor]) -> Tensor:
    """Return (sum of heads * size, ...) of tensors (heads, size, ...)."""
    if all(part.shape[0] == 1 for part in rows):
        # Of single heads, without an operation for each: for short sequences they take as long as the steps.
        return torch.cat(tuple(rows), dim=1).flatten(0, 1)
    return torch.cat([part.flatten(0, 1) for part in rows])
