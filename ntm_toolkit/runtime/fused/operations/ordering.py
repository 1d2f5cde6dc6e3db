"""Sorting, the largest few, and where the largest is."""

from __future__ import annotations

from typing import Any

import torch

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.geometry import axis_of
from ntm_toolkit.runtime.fused.ir import Sort
from ntm_toolkit.runtime.fused.lowering import Lowering, Stored, Table, Value, shape_of
from ntm_toolkit.runtime.fused.operations.viewing import reshaped

aten = torch.ops.aten
TABLE = Table()


@TABLE.lowers(aten.sort.default)
def _sort(low: Lowering, value: Any, dim: int = -1, descending: bool = False) -> list[Any]:
    return _ordered(low, value, dim, descending, None)


@TABLE.lowers(aten.sort.stable)
def _stable_sort(
    low: Lowering, value: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> list[Any]:
    return _ordered(low, value, dim, descending, None)


@TABLE.lowers(aten.topk.default)
def _topk(low: Lowering, value: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> list[Any]:
    return _ordered(low, value, dim, largest, k)


def _ordered(low: Lowering, value: Any, axis: int, descending: bool, count: int | None) -> list[Any]:
    view = low.view(value)
    if not view.shape:
        return [Stored(view), torch.zeros((), dtype=torch.int64)]
    order = list(range(len(view.shape)))
    axis = axis_of(axis, len(order))
    order[axis], order[-1] = order[-1], order[axis]
    source = geometry.permute(view, order)
    shape = (*source.shape[:-1], source.shape[-1] if count is None else count)
    values, places = (low.buffer(shape).whole() for _ in range(2))
    low.statements.append(Sort(values, places, source, descending))
    return [Stored(geometry.permute(values, order)), Stored(geometry.permute(places, order))]


@TABLE.lowers(aten.max.dim)
def _max(low: Lowering, value: Any, axis: int, keep: bool = False) -> list[Value]:
    return _extreme(low, "max", value, axis, keep)


@TABLE.lowers(aten.min.dim)
def _min(low: Lowering, value: Any, axis: int, keep: bool = False) -> list[Value]:
    return _extreme(low, "min", value, axis, keep)


@TABLE.lowers(aten.argmax.default)
def _argmax(low: Lowering, value: Any, axis: int | None = None, keep: bool = False) -> Value:
    return _place(low, "max", value, axis, keep)


@TABLE.lowers(aten.argmin.default)
def _argmin(low: Lowering, value: Any, axis: int | None = None, keep: bool = False) -> Value:
    return _place(low, "min", value, axis, keep)


def _place(low: Lowering, kind: str, value: Any, axis: int | None, keep: bool) -> Value:
    if axis is not None:
        return _extreme(low, kind, value, axis, keep)[1]
    place = _extreme(low, kind, reshaped(low, value, [-1]), 0, False)[1]
    return reshaped(low, place, [1] * len(shape_of(value))) if keep else place


def _extreme(low: Lowering, kind: str, value: Any, axis: int, keep: bool) -> list[Value]:
    """Return the greatest or least elements along an axis, and the first place of each."""
    value = low.stored(value)
    shape = shape_of(value)
    if not shape:
        return [value, low.pointwise("mul", value, 0)]
    axis = axis_of(axis, len(shape))
    found = low.reduce(kind, value, [axis], True)
    # The last place serves where nothing is equal, as with NaN: a place that exists.
    last = shape[axis] - 1
    along = torch.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    place = low.reduce("min", low.pointwise("where", low.pointwise("eq", value, found), along, last), [axis], True)
    if keep:
        return [found, place]
    return [Stored(geometry.squeeze(view, [axis])) for view in (found.view, place.view)]
