"""Lanes: how a batch of samples is cut into tiles, and how tensors go in and out of them.

A tile holds `lanes` samples side by side: (batch, n) becomes (tiles, n, lanes).
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTHS = (1, 8, 16)
"""The widths of tiles that there are."""


def width(batch: int) -> int:
    """Return how many samples a tile holds; a function of the batch alone, so that results are, too."""
    if batch == 1:
        return 1
    # Two tiles of 8 keep two threads busy, where one of 16 would keep one.
    return 8 if batch <= 16 else 16


def to_lanes(tensor: Tensor, tiles: int, lanes: int) -> Tensor:
    """Return (batch, ...) as (tiles, n, lanes); the lanes beyond the batch repeat its last sample."""
    batch = tensor.shape[0]
    flat = tensor.reshape(batch, -1)
    if tiles * lanes != batch:
        flat = torch.cat([flat, flat[-1:].expand(tiles * lanes - batch, -1)])
    return flat.view(tiles, lanes, -1).transpose(1, 2)


def from_lanes(tensor: Tensor, batch: int) -> Tensor:
    """Return (tiles, n, lanes) as (batch, n), in memory of its own."""
    return tensor.transpose(1, 2).reshape(-1, tensor.shape[1])[:batch].clone()
