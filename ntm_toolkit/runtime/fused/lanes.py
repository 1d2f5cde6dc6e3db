"""Lanes: how a batch of samples is cut into tiles, and how tensors go in and out of them.

A tile holds `lanes` samples side by side: (batch, n) becomes (tiles, n, lanes). Several tensors lie one after the other
in a slot, (tiles, size, lanes), each at a place, which is its offset and its n.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WIDTHS = (1, 8, 16)
"""The widths of tiles that there are."""

Place = tuple[int, int]


def width(batch: int) -> int:
    """Return how many samples a tile holds; a function of the batch alone, so that results are, too."""
    if batch == 1:
        return 1
    # Two tiles of 8 keep two threads busy, where one of 16 would keep one.
    return 8 if batch <= 16 else 16


def at_places(slot: Tensor, places: Sequence[Place]) -> list[Tensor]:
    """Return the views (tiles, n, lanes) of a slot at places that are in ascending order."""
    lengths, end = [], 0
    for offset, size in places:
        lengths += [offset - end, size]
        end = offset + size
    # One call for all: place by place, calling takes longer than what is done.
    return list(slot.split_with_sizes([*lengths, slot.shape[1] - end], 1)[1::2])


def put(tensors: Sequence[Tensor], slot: Tensor, places: Sequence[Place]) -> None:
    """Copy tensors (batch, ...) to places in a slot, in its dtype; lanes beyond the batch repeat its last sample."""
    if not tensors:
        return
    tiles, _, lanes = slot.shape
    batch = tensors[0].shape[0]
    if missing := tiles * lanes - batch:
        tensors = [torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) for tensor in tensors]
    if lanes == 1:
        given = [tensor.reshape(tiles, -1, 1) for tensor in tensors]
    else:
        given = [tensor.reshape(tiles, lanes, -1).transpose(1, 2) for tensor in tensors]
    torch._foreach_copy_(at_places(slot, places), given)


def take(slot: Tensor, places: Sequence[Place], shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Return what is at places in a slot as tensors (batch, ...) of these shapes, in memory of its own."""
    if not shapes:
        return []
    tiles, _, lanes = slot.shape
    if lanes == 1:
        parts = at_places(slot.clone(), places)
        return [part.view(*shape) for part, shape in zip(parts, shapes, strict=True)]
    samples, batch = tiles * lanes, shapes[0][0]
    copies = [part.transpose(1, 2).clone(memory_format=torch.contiguous_format) for part in at_places(slot, places)]
    whole = [copy.view(samples, *shape[1:]) for copy, shape in zip(copies, shapes, strict=True)]
    return whole if samples == batch else [tensor[:batch] for tensor in whole]
