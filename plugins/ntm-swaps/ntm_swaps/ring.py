"""Moving a weighting around the ring of slots by a real offset (Graves et al. 2014, section 3.3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ntm_swaps.specs import JumpSpec, ScalarShiftSpec
from ntm_toolkit.parts import Stage, Tensors, View
from ntm_toolkit.spec import Dims


def moved(weighting: Tensor, offset: Tensor) -> Tensor:
    """Return w~(i) = (1 - f) w(i - n mod N) + f w(i - n - 1 mod N), where offset = n + f and n = floor(offset).

    Args:
        weighting: (batch, heads, slots).
        offset: (batch, heads, 1), in slots. The gradient at a whole number is that of larger offsets.
    """
    slots = weighting.shape[-1]
    offset = torch.remainder(offset, slots)
    whole = offset.detach().floor()
    # s(n) = 1 - f looks back n slots, s(n + 1) = f one more.
    source = torch.arange(slots, device=weighting.device) - whole.long()
    source = source.expand(weighting.shape)
    near = weighting.gather(-1, torch.remainder(source, slots))
    far = weighting.gather(-1, torch.remainder(source - 1, slots))
    return torch.lerp(near, far, offset - whole)


class ScalarShift(Stage):
    """The weighting moved by one emitted offset."""

    def __init__(self, spec: ScalarShiftSpec) -> None:
        super().__init__()
        self.range = 1.0 if spec.range is None else spec.range

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w~ (batch, heads, slots)."""
        return moved(weighting, self.range * fields["offset"])


class Jump(Stage):
    """(1 - g) w + g w moved by a distance."""

    def __init__(self, spec: JumpSpec, dims: Dims) -> None:
        super().__init__()
        self.start = spec.start
        self.distance = nn.Parameter(torch.full((dims.heads, 1), spec.start)) if spec.distance == "learned" else None

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return w~ (batch, heads, slots)."""
        if self.distance is None:
            distance = self.start + fields["distance"]
        else:
            distance = self.distance.expand(*weighting.shape[:2], 1)
        return torch.lerp(weighting, moved(weighting, distance), fields["gate"])
