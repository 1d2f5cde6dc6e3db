"""Torch functions that are traced in another form than torch's own, of the same meaning.

A cumulative product's derivative would grow in operations with what it is taken of, and a one-hot looks at values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _CumulativeProduct(torch.autograd.Function):
    """y_j = prod_{k <= j} x_k along the last axis; autograd's own derivative is a loop over that axis.

    dL/dx_i = (prod_{k < i} x_k) sum_{j >= i} g_j prod_{i < k <= j} x_k, which is exact where elements are zero.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        product = value.cumprod(-1)
        ctx.save_for_backward(value, product)
        return product

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        value, product = ctx.saved_tensors
        places = torch.arange(value.shape[-1], device=value.device)
        after, upto = places[None, :] > places[:, None], places[None, :] >= places[:, None]
        between = torch.where(after, value[..., None, :], 1.0).cumprod(-1)
        total = torch.where(upto, between * gradient[..., None, :], 0.0).sum(-1)
        before = torch.cat([torch.ones_like(value[..., :1]), product[..., :-1]], dim=-1)
        return before * total


def _cumprod(value: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    if value.dim() == 0 or not value.is_floating_point() or dtype not in (None, value.dtype):
        return torch.cumprod(value, dim, dtype=dtype)
    result: Tensor = _CumulativeProduct.apply(value.transpose(dim, -1))  # type: ignore[no-untyped-call]
    return result.transpose(dim, -1)


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        return functional.one_hot(tensor, num_classes)
    # torch's looks whether all places exist.
    return (tensor[..., None] == torch.arange(num_classes, device=tensor.device)).long()


REPLACED: Mapping[Any, Callable[..., Any]] = {
    torch.cumprod: _cumprod,
    Tensor.cumprod: _cumprod,
    functional.one_hot: _one_hot,
}
"""What is called in place of a torch function while a step is traced."""
