"""Binary addition of two numbers that come one after the other (Delétang et al. 2022)."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs.addition import AdditionSpec
from ntm_toolkit.tasks.transduction import Transduction, random_bits


class Addition(Transduction):
    """The answer is the sum of the two numbers that were shown; all are written from the least significant bit on."""

    def __init__(self, spec: AdditionSpec) -> None:
        super().__init__(spec, spec.length)
        self.spec = spec

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return the bits of both numbers, (length, batch, 2)."""
        return random_bits(stream, length, batch, 2)

    def shown(self, drawn: Array) -> Array:
        """Return the first number's bits, a plus on a channel of its own, the second number's bits."""
        length, batch, _ = drawn.shape
        shown = np.zeros((2 * length + 1, batch, 2), dtype=drawn.dtype)
        shown[:length, :, 0] = drawn[..., 0]
        shown[length, :, 1] = 1
        shown[length + 1 :, :, 0] = drawn[..., 1]
        return shown

    def answer(self, drawn: Array) -> Array:
        """Return the bits of the sum, of which there is one more than each number has."""
        length, batch, _ = drawn.shape
        size = length // 8 + 1
        # Python adds whole numbers of any length, where NumPy would carry bit after bit.
        packed = np.packbits(drawn, axis=0, bitorder="little")
        sums = b"".join(
            (_number(packed[:, episode, 0]) + _number(packed[:, episode, 1])).to_bytes(size, "little")
            for episode in range(batch)
        )
        rows = np.frombuffer(sums, dtype=np.uint8).reshape(batch, size)
        return np.unpackbits(rows, axis=1, count=length + 1, bitorder="little").T[..., None]


def _number(packed: Array) -> int:
    """Return the number that bytes make, the least significant first."""
    return int.from_bytes(packed.tobytes(), "little")
