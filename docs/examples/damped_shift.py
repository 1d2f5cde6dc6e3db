"""A stage to put in place of `shift`: how far a weighting moves depends on how concentrated it is.

It has what makes a stage hard to run fast: a parameter of its own, and sums over the slots.
"""

from typing import Literal

import torch
from torch import nn

from ntm_toolkit import hookimpl
from ntm_toolkit.parts import Stage
from ntm_toolkit.spec import Field, StageSpec


class DampedShiftSpec(StageSpec):
    """w(i) <- c sum_d w(i - d) s(d) + (1 - c) w(i), with c = sum_j w(j)^2 / sum_j w(j) and s = softmax(raw + prior)."""

    kind: Literal["damped-shift"] = "damped-shift"

    def interface(self, dims):
        """A raw number for each of the offsets -1, 0 and 1."""
        return {"offsets": Field(3, "none")}

    def build(self, dims):
        """Return the module that computes it."""
        return DampedShift()


class DampedShift(Stage):
    """The prior over offsets is trained, and the same for all heads of the group."""

    def __init__(self):
        super().__init__()
        self.prior = nn.Parameter(torch.zeros(3))

    def forward(self, weighting, fields, view):
        """Return w (batch, heads, slots)."""
        kernel = torch.softmax(fields["offsets"] + self.prior, dim=-1)
        around = torch.stack([weighting.roll(-1, -1), weighting, weighting.roll(1, -1)], dim=-1)
        moved = (around * kernel[..., None, :]).sum(-1)
        concentration = weighting.square().sum(-1, keepdim=True) / (weighting.sum(-1, keepdim=True) + 1e-8)
        return torch.lerp(weighting, moved, concentration)


@hookimpl
def ntm_register_parts():
    """The stage."""
    return [DampedShiftSpec]
