"""Duplication of a string, w -> ww (Delétang et al. 2022, a context-sensitive task)."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs.duplicate import DuplicateSpec
from ntm_toolkit.tasks.transduction import Transduction, random_bits


class Duplicate(Transduction):
    """The answer is the whole of what was shown, twice."""

    def __init__(self, spec: DuplicateSpec) -> None:
        super().__init__(spec, spec.length)
        self.spec = spec

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return random vectors, (length, batch, bits)."""
        return random_bits(stream, length, batch, self.spec.bits)

    def answer(self, drawn: Array) -> Array:
        """Return them all, and then all of them again."""
        return np.concatenate((drawn, drawn))
