"""Running products, maxima and sums of exponentials, by doubling: as many operations as the axis has binary digits.

After the pass with step s, element j stands for the elements j - 2s + 1 to j (Hillis and Steele 1986).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_Pair = tuple[Tensor, Tensor]


def _steps(size: int) -> list[int]:
    return [1 << digit for digit in range(max(size - 1, 0).bit_length())]


def _recurrence(gradient: Tensor, factor: Tensor) -> Tensor:
    """Return s_i = g_i + f_i s_{i+1} along the last axis, the last element's factor being of no consequence."""
    size = gradient.shape[-1]
    for step in _steps(size):
        ahead = gradient[..., : size - step] + factor[..., : size - step] * gradient[..., step:]
        gradient = torch.cat([ahead, gradient[..., size - step :]], dim=-1)
        # Beyond the end there is nothing more to add.
        products = factor[..., : size - step] * factor[..., step:]
        factor = torch.cat([products, torch.zeros_like(factor[..., size - step :])], dim=-1)
    return gradient


class _CumulativeProduct(torch.autograd.Function):
    """y_j = prod_{k <= j} x_k along the last axis; autograd's own derivative is a loop over that axis.

    dL/dx_i = (prod_{k < i} x_k) s_i with s_i = g_i + x_{i+1} s_{i+1}, which is exact where elements are zero.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        product = value.cumprod(-1)
        ctx.save_for_backward(value, product)
        return product

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        value, product = ctx.saved_tensors
        one = torch.ones_like(value[..., :1])
        total = _recurrence(gradient, torch.cat([value[..., 1:], one], dim=-1))
        return torch.cat([one, product[..., :-1]], dim=-1) * total


class _LogCumulativeSumExp(torch.autograd.Function):
    """y_j = log sum_{k <= j} exp x_k along the last axis.

    dL/dx_i = exp(x_i - y_i) s_i with s_i = g_i + exp(y_i - y_{i+1}) s_{i+1}: no exponent is above 0.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total, size = value, value.shape[-1]
        for step in _steps(size):
            both = torch.logaddexp(total[..., : size - step], total[..., step:])
            total = torch.cat([total[..., :step], both], dim=-1)
        ctx.save_for_backward(value, total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        value, total = ctx.saved_tensors
        share = torch.exp(total[..., :-1] - total[..., 1:])
        factor = torch.cat([share, torch.ones_like(value[..., :1])], dim=-1)
        return torch.exp(value - total) * _recurrence(gradient, factor)


def _along_last(function: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
    def along(value: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
        if value.dim() == 0 or not value.is_floating_point() or dtype not in (None, value.dtype):
            return plain(value, dim, dtype=dtype)  # type: ignore[no-any-return]
        result: Tensor = function.apply(value.transpose(dim, -1))
        return result.transpose(dim, -1)

    return along


def _cumulative(torch_type: Any, wins: Callable[[Tensor, Tensor], Tensor], plain: Callable[..., Any]) -> Any:
    """Return cummax or cummin: values and places; of equal ones the last, as torch has it."""

    def along(value: Tensor, dim: int) -> Any:
        if value.dim() == 0 or not value.is_floating_point():
            return plain(value, dim)
        moved = value.transpose(dim, -1)
        size, extreme = moved.shape[-1], moved.detach()
        place = torch.arange(size, device=value.device).expand(moved.shape)
        for step in _steps(size):
            before, after = extreme[..., : size - step], extreme[..., step:]
            later = wins(after, before) | after.isnan()
            extreme = torch.cat([extreme[..., :step], torch.where(later, after, before)], dim=-1)
            places = torch.where(later, place[..., step:], place[..., : size - step])
            place = torch.cat([place[..., :step], places], dim=-1)
        return torch_type((moved.gather(-1, place).transpose(dim, -1), place.transpose(dim, -1)))

    return along


_cumprod = _along_last(_CumulativeProduct, torch.cumprod)
_logcumsumexp = _along_last(_LogCumulativeSumExp, lambda value, dim, dtype: torch.logcumsumexp(value, dim))
_cummax = _cumulative(torch.return_types.cummax, torch.ge, torch.cummax)
_cummin = _cumulative(torch.return_types.cummin, torch.le, torch.cummin)

TABLE: Mapping[Any, Callable[..., Any]] = {
    torch.cumprod: _cumprod,
    Tensor.cumprod: _cumprod,
    torch.logcumsumexp: _logcumsumexp,
    Tensor.logcumsumexp: _logcumsumexp,
    torch.cummax: _cummax,
    Tensor.cummax: _cummax,
    torch.cummin: _cummin,
    Tensor.cummin: _cummin,
}
