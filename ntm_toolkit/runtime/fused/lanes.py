"""Lanes: a tile holds so many samples side by side, (batch, n) becomes (tiles, n, lanes)."""

from __future__ import annotations

WIDTHS = (1, 8, 16)
"""The widths of tiles that there are."""


def width(batch: int) -> int:
    """Return how many samples a tile holds; a function of the batch alone, so that results are, too."""
    if batch == 1:
        return 1
    # Two tiles of 8 keep two threads busy, where one of 16 would keep one.
    return 8 if batch <= 16 else 16
