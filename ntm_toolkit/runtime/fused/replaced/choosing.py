"""Distances, places among edges, and elements in order, as comparisons, reductions and sorting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        return functional.one_hot(tensor, num_classes)
    # torch's looks whether all places exist.
    return (tensor[..., None] == torch.arange(num_classes, device=tensor.device)).long()


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(x1[..., :, None, :] - x2[..., None, :, :], p, dim=-1)
    return distance


def _searchsorted(
    sorted_sequence: Tensor,
    input: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    if sorter is not None or not isinstance(input, Tensor):
        plain: Callable[..., Tensor] = torch.searchsorted
        return plain(sorted_sequence, input, out_int32=out_int32, right=right, side=side, sorter=sorter)
    edges = sorted_sequence if sorted_sequence.dim() == 1 else sorted_sequence[..., None, :]
    before = edges <= input[..., None] if right or side == "right" else edges < input[..., None]
    return before.sum(-1, dtype=torch.int32 if out_int32 else torch.int64)


def _bucketize(input: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    return _searchsorted(boundaries, input, out_int32=out_int32, right=right)


def _kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    values, places = input.sort(dim=dim, stable=True)
    value, place = values.narrow(dim, k - 1, 1), places.narrow(dim, k - 1, 1)
    return torch.return_types.kthvalue((value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim)))


TABLE: Mapping[Any, Callable[..., Any]] = {
    functional.one_hot: _one_hot,
    torch.cdist: _cdist,
    torch.searchsorted: _searchsorted,
    torch.bucketize: _bucketize,
    torch.kthvalue: _kthvalue,
    Tensor.kthvalue: _kthvalue,
}
