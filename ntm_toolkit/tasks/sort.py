"""Sorting of symbols from a small alphabet (bucket sort in Delétang et al. 2022), or of integers in binary."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs.sort import SortSpec
from ntm_toolkit.tasks.transduction import Transduction


class Sort(Transduction):
    """The answer is the symbols that were shown, in ascending order; equal ones come as often as they were shown."""

    def __init__(self, spec: SortSpec) -> None:
        super().__init__(spec, spec.length)
        self.spec = spec
        numbers = np.arange(spec.symbols)
        places = np.arange(spec.channels())[::-1]  # the most significant bit is channel 0
        self._codes: Array = np.eye(spec.symbols) if spec.encoding == "one-hot" else numbers[:, None] >> places & 1

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return symbols by their numbers, (length, batch)."""
        symbols: Array = torch.randint(0, self.spec.symbols, (length, batch), generator=stream).numpy()
        return symbols

    def shown(self, drawn: Array) -> Array:
        """Return the symbols' codes as they were drawn."""
        codes: Array = self._codes[drawn]
        return codes

    def answer(self, drawn: Array) -> Array:
        """Return their codes in ascending order."""
        return self.shown(np.sort(drawn, axis=0))
