"""Reversal, the task that a stack solves (Grefenstette et al. 2015, section 4.1; Delétang et al. 2022)."""

from __future__ import annotations

import torch

from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs.reverse import ReverseSpec
from ntm_toolkit.tasks.transduction import Transduction, random_bits


class Reverse(Transduction):
    """The answer is the vectors that were shown, the last one first."""

    def __init__(self, spec: ReverseSpec) -> None:
        super().__init__(spec, spec.length)
        self.spec = spec

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return random vectors, (length, batch, bits)."""
        return random_bits(stream, length, batch, self.spec.bits)

    def answer(self, drawn: Array) -> Array:
        """Return them from the last to the first."""
        return drawn[::-1]
