"""Convolutions and pooling, as products and reductions over windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_Sizes = int | Sequence[int]


def _each(sizes: _Sizes, axes: int) -> list[int]:
    return [sizes] * axes if isinstance(sizes, int) else [*sizes] * (axes if len(sizes) == 1 else 1)


def _padded(value: Tensor, pads: Sequence[tuple[int, int]], fill: float) -> Tensor:
    """Return the value with so much before and after along its last axes."""
    if not any(before or after for before, after in pads):
        return value
    return functional.pad(value, [size for pair in reversed(pads) for size in pair], value=fill)


def _windows(value: Tensor, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Tensor:
    """Return (.., *places, *sizes) of a value (.., *axes)."""
    axes = len(sizes)
    for axis, (size, stride, dilation) in enumerate(zip(sizes, strides, dilations, strict=True)):
        value = value.unfold(axis - axes - axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
    return value


def _convolution(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: _Sizes = 1,
    padding: str | _Sizes = 0,
    dilation: _Sizes = 1,
    groups: int = 1,
) -> Tensor:
    if input.dim() == axes + 1:  # without a batch
        return _convolution(axes, input[None], weight, bias, stride, padding, dilation, groups)[0]
    sizes, strides, dilations = list(weight.shape[2:]), _each(stride, axes), _each(dilation, axes)
    if padding == "same":
        wanted = [step * (size - 1) for step, size in zip(dilations, sizes, strict=True)]
        pads = [(total // 2, total - total // 2) for total in wanted]
    else:
        pads = [(size, size) for size in _each(0 if isinstance(padding, str) else padding, axes)]
    seen = _windows(_padded(input, pads, 0.0), sizes, strides, dilations)
    batch, places = input.shape[0], seen.shape[2 : 2 + axes]
    # (batch, group, place, channel and place in the window) times the same of each group's outputs.
    seen = seen.reshape(batch, groups, -1, *places, *sizes)
    order = [0, 1, *range(3, 3 + axes), 2, *range(3 + axes, 3 + 2 * axes)]
    rows = seen.permute(order).reshape(batch, groups, places.numel(), -1)
    columns = weight.reshape(groups, weight.shape[0] // groups, -1).mT
    product = rows[:, 0] @ columns[0] if groups == 1 else (rows @ columns).transpose(1, 2).flatten(2)
    result = product.mT.reshape(batch, weight.shape[0], *places)
    return result if bias is None else result + bias.reshape(-1, *[1] * axes)


def _avg_pool1d(
    input: Tensor,
    kernel_size: _Sizes,
    stride: _Sizes | None = None,
    padding: _Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    if ceil_mode or not count_include_pad:
        plain: Callable[..., Tensor] = functional.avg_pool1d
        return plain(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _pooling(input, kernel_size, stride, padding, 1, 0.0).mean(-1)


def _max_pool1d(
    input: Tensor,
    kernel_size: _Sizes,
    stride: _Sizes | None = None,
    padding: _Sizes = 0,
    dilation: _Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if ceil_mode or return_indices:
        plain: Callable[..., Any] = functional.max_pool1d
        return plain(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _pooling(input, kernel_size, stride, padding, dilation, -torch.inf).max(-1).values


def _pooling(
    value: Tensor, size: _Sizes, stride: _Sizes | None, padding: _Sizes, dilation: _Sizes, fill: float
) -> Tensor:
    sizes, pads = _each(size, 1), _each(padding, 1)
    strides = sizes if stride is None or stride in ([], ()) else _each(stride, 1)
    return _windows(_padded(value, [(pads[0], pads[0])], fill), sizes, strides, _each(dilation, 1))


TABLE: Mapping[Any, Callable[..., Any]] = {
    torch.conv1d: partial(_convolution, 1),
    torch.conv2d: partial(_convolution, 2),
    functional.avg_pool1d: _avg_pool1d,
    torch.max_pool1d: _max_pool1d,
    functional.max_pool1d: _max_pool1d,
}
