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

    def _together(self, name: str) -> Tensor:
        maps = [self.fields[path] for path in self.paths]
        return torch.cat([getattr(field, name).flatten(0, 1) for field in maps])

    def pack(self) -> dict[str, Tensor]:
        """Return W (total, hidden) and b (total)."""
        return {"weight": self._together("weight"), "bias": self._together("bias")}

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

    def pack(self) -> dict[str, Tensor]:
        """Return W (total, hidden), b and the gain (total)."""
        return {**super().pack(), "gain": self._together("gain")}

    def forward(self, output: Tensor, packed: Tensors) -> Tensor:
        """Return raw fields (batch, total)."""
        mapped = output @ packed["weight"].t()
        return functional.layer_norm(mapped, mapped.shape[-1:], packed["gain"], packed["bias"], self.epsilon)
