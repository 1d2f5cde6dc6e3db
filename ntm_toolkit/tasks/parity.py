"""Parity of a string of bits, which needs one bit of state and is hard to learn (Delétang et al. 2022)."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs.parity import ParitySpec
from ntm_toolkit.tasks.transduction import Transduction, random_bits


class Parity(Transduction):
    """The answer is one bit: whether the number of ones that were shown is odd."""

    def __init__(self, spec: ParitySpec) -> None:
        super().__init__(spec, spec.length)
        self.spec = spec

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return random bits, (length, batch, 1)."""
        return random_bits(stream, length, batch, 1)

    def answer(self, drawn: Array) -> Array:
        """Return 1 where the ones are odd in number."""
        parity: Array = np.bitwise_xor.reduce(drawn, axis=0, keepdims=True)
        return parity
