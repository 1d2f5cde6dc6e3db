"""Lanes: a tile holds so many samples side by side, (batch, n) becomes (tiles, n, lanes)."""

from __future__ import annotations

WIDTHS = (1, 8, 16)
"""The widths of tiles that there are."""


def width(batch: int, widest: int = 16) -> int:
    """Return how many samples a tile holds: a function of the batch and the processor, so that results are, too.

    Args:
        batch: how many samples there are.
        widest: how many numbers of 32 bits fit a register of the processor.
    """
    if batch == 1:
        return 1
    # Two tiles of 8 keep two threads busy, where one of 16 would keep one; what no register holds goes through memory.
    return 8 if batch <= 16 or widest < 16 else 16
