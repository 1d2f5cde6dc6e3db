"""Views: other shapes, strides and offsets of what lies in memory."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import fx

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.geometry import axis_of, resolved
from ntm_toolkit.runtime.fused.ir import Number, Store, View, row_major
from ntm_toolkit.runtime.fused.lowering import Lowering, Outer, Stored, Table, Value, shape_of
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

aten = torch.ops.aten
TABLE = Table()


@TABLE.lowers(aten.view.default, aten.reshape.default, aten._unsafe_view.default)
def _view(low: Lowering, value: Any, sizes: Sequence[int]) -> Any:
    shape = resolved(sizes, shape_of(value))
    return value if shape == shape_of(value) else reshaped(low, value, shape)


def reshaped(low: Lowering, value: Any, shape: Sequence[int]) -> Stored:
    """Return the value in another shape, copied where its strides do not allow it."""
    view = low.view(value)
    seen = geometry.reshape(view, shape) or geometry.reshape(low.copied(Stored(view)).view, shape)
    assert seen is not None
    return Stored(seen)


@TABLE.lowers(aten.permute.default)
def _permute(low: Lowering, value: Any, order: Sequence[int]) -> Value:
    if isinstance(value, Outer):
        return value if [axis_of(axis, 2) for axis in order] == [0, 1] else Outer(value.right, value.left)
    return Stored(geometry.permute(low.view(value), order))


@TABLE.lowers(aten.t.default)
def _t(low: Lowering, value: Any) -> Any:
    return _permute(low, value, [1, 0]) if len(shape_of(value)) == 2 else value


@TABLE.lowers(aten.transpose.int)
def _transpose(low: Lowering, value: Any, first: int, second: int) -> Value:
    order = list(range(len(shape_of(value))))
    if order:
        order[first], order[second] = order[second], order[first]
    return _permute(low, value, order)


@TABLE.lowers(aten.expand.default)
def _expand(low: Lowering, value: Any, sizes: Sequence[int], *, implicit: bool = False) -> Any:
    if isinstance(value, Outer) and tuple(sizes) in (value.shape, (-1, -1)):
        return value
    return Stored(geometry.expand(low.view(value), sizes))


@TABLE.lowers(aten.unsqueeze.default)
def _unsqueeze(low: Lowering, value: Any, axis: int) -> Stored:
    return Stored(geometry.unsqueeze(low.view(value), axis))


@TABLE.lowers(aten.squeeze.dims, aten.squeeze.dim, aten.squeeze.default)
def _squeeze(low: Lowering, value: Any, axes: Any = None) -> Stored:
    return Stored(geometry.squeeze(low.view(value), [axes] if isinstance(axes, int) else axes))


@TABLE.lowers(aten.slice.Tensor)
def _slice(low: Lowering, value: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Stored:
    return Stored(geometry.narrow(low.view(value), axis, start or 0, end, step))


@TABLE.lowers(aten.select.int)
def _select(low: Lowering, value: Any, axis: int, index: int) -> Stored:
    return Stored(geometry.select(low.view(value), axis, index))


@TABLE.lowers(aten.flip.default)
def _flip(low: Lowering, value: Any, axes: Sequence[int]) -> Stored:
    return Stored(geometry.flip(low.view(value), axes))


@TABLE.lowers(aten.unfold.default)
def _unfold(low: Lowering, value: Any, axis: int, size: int, step: int) -> Stored:
    return Stored(geometry.unfold(low.view(value), axis, size, step))


@TABLE.lowers(aten.unfold_backward.default)
def _unfold_backward(low: Lowering, gradient: Any, sizes: Sequence[int], axis: int, size: int, step: int) -> Stored:
    expression = low.expression(gradient)
    whole = low.buffer(sizes).whole()
    low.statements.append(Store(whole, Number(0.0)))
    low.statements.append(Store(geometry.unfold(whole, axis, size, step), expression, accumulate=True))
    return Stored(whole)


@TABLE.lowers(aten.diagonal.default)
def _diagonal(low: Lowering, value: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Stored:
    return Stored(geometry.diagonal(low.view(value), offset, dim1, dim2))


@TABLE.lowers(aten.as_strided.default)
def _as_strided(low: Lowering, value: Any, sizes: Sequence[int], strides: Sequence[int], offset: Any = None) -> Stored:
    return Stored(strided(memory_of(low, low.argument(0), value), sizes, strides, offset))


def memory_of(low: Lowering, node: Any, value: Any) -> View:
    """Return all of the value, row-major, where it lies so for torch too.

    Raises:
        UnsupportedError: torch has it in memory otherwise, so that strides of torch's mean nothing here.
    """
    if isinstance(node, fx.Node):
        seen = node.meta["val"]
        if not seen.is_contiguous() or seen.storage_offset():
            raise UnsupportedError("a part of a tensor is changed in place", "put it together with `torch.cat`")
    view = low.view(value)
    return view if view.strides == row_major(view.shape) else low.copied(Stored(view)).view


def strided(view: View, sizes: Sequence[int], strides: Sequence[int], offset: int | None) -> View:
    """Return a window of a row-major view by sizes, strides and offset."""
    start = view.offset + (offset or 0)
    farthest = start + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    assert prod(sizes) == 0 or farthest < view.offset + prod(view.shape)
    return View(view.buffer, tuple(sizes), tuple(strides), start)


@TABLE.lowers(aten.split_with_sizes.default)
def _split(low: Lowering, value: Any, sizes: Sequence[int], axis: int = 0) -> list[Stored]:
    view, parts, start = low.view(value), [], 0
    for size in sizes:
        parts.append(Stored(geometry.narrow(view, axis, start, start + size)))
        start += size
    return parts


@TABLE.lowers(operator.getitem)
def _item(low: Lowering, values: Any, index: int) -> Any:
    return values[index]
