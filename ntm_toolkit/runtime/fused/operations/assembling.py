"""Tensors put together of others: side by side, padded, or with a part replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.geometry import axis_of
from ntm_toolkit.runtime.fused.ir import Store, View
from ntm_toolkit.runtime.fused.lowering import Lowering, Stored, Table, Value, Windows, shape_of
from ntm_toolkit.runtime.fused.operations.viewing import memory_of, strided

aten = torch.ops.aten
TABLE = Table()

Window = Callable[[View], View]


@TABLE.lowers(aten.cat.default)
def _cat(low: Lowering, values: Sequence[Any], axis: int = 0) -> Stored:
    # torch lets an empty vector stand beside anything.
    values = [value for value in values if shape_of(value) != (0,)] or list(values[:1])
    axis = axis_of(axis, len(shape_of(values[0])))
    return _beside(low, values, axis)


def _beside(low: Lowering, values: Sequence[Any], axis: int) -> Stored:
    sizes = [shape_of(value)[axis] for value in values]
    expressions = [low.expression(value) for value in values]
    shape = list(shape_of(values[0]))
    shape[axis] = sum(sizes)
    whole, start = low.buffer(shape).whole(), 0
    for size, expression in zip(sizes, expressions, strict=True):
        if size:
            low.statements.append(Store(geometry.narrow(whole, axis, start, start + size), expression))
        start += size
    return Stored(whole)


@TABLE.lowers(aten.roll.default)
def _roll(low: Lowering, value: Any, shifts: Any, axes: Any = ()) -> Stored:
    shifts, axes = ([given] if isinstance(given, int) else list(given) for given in (shifts, axes))
    view, shape = low.view(value), shape_of(value)
    if not axes:
        flat = geometry.reshape(view, [-1]) or geometry.reshape(low.copied(Stored(view)).view, [-1])
        assert flat is not None
        rolled = geometry.reshape(_rolled(low, flat, shifts[0], 0), shape)
        assert rolled is not None
        return Stored(rolled)
    for shift, axis in zip(shifts, axes, strict=True):
        view = _rolled(low, view, shift, axis_of(axis, len(shape)))
    return Stored(view)


def _rolled(low: Lowering, view: View, shift: int, axis: int) -> View:
    size = view.shape[axis]
    start = (-shift) % size if size else 0
    if start == 0:
        return view
    parts = (geometry.narrow(view, axis, start, size), geometry.narrow(view, axis, 0, start))
    return _beside(low, [Stored(part) for part in parts], axis).view


@TABLE.lowers(aten.constant_pad_nd.default)
def _pad(low: Lowering, value: Any, pad: Sequence[int], fill: float = 0) -> Value:
    shape = shape_of(value)
    rank, inner, whole = len(shape), low.stored(value).view, list(shape)
    window: list[tuple[int, int, int]] = []
    for number in range(len(pad) // 2):
        axis, (before, after) = rank - 1 - number, pad[2 * number : 2 * number + 2]
        whole[axis] += before + after
        kept = (max(-before, 0), shape[axis] - max(-after, 0))
        inner = geometry.narrow(inner, axis, *kept)
        window.append((axis, max(before, 0), max(before, 0) + kept[1] - kept[0]))

    def inside(view: View) -> View:
        for axis, start, end in window:
            view = geometry.narrow(view, axis, start, end)
        return view

    return _put(low, torch.full(whole, fill, dtype=low.dtype), Stored(inner), inside)


def _put(low: Lowering, base: Any, value: Any, window: Window) -> Value:
    if isinstance(base, torch.Tensor) and not bool(base.any()):
        if isinstance(value, Windows) and value.base is None:
            parts = tuple((partial(_within, window, inner), part) for inner, part in value.parts)
            return Windows(tuple(base.shape), None, parts)
        return Windows(tuple(base.shape), None, ((window, value),))
    expression = low.expression(value)
    whole = low.copied(base).view
    low.statements.append(Store(window(whole), expression))
    return Stored(whole)


def _within(outer: Window, inner: Window, view: View) -> View:
    return inner(outer(view))


@TABLE.lowers(aten.slice_scatter.default)
def _slice_scatter(
    low: Lowering, base: Any, value: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    return _put(low, base, value, lambda view: geometry.narrow(view, axis, start or 0, end, step))


@TABLE.lowers(aten.select_scatter.default)
def _select_scatter(low: Lowering, base: Any, value: Any, axis: int, index: int) -> Value:
    return _put(low, base, value, lambda view: geometry.select(view, axis, index))


@TABLE.lowers(aten.diagonal_scatter.default)
def _diagonal_scatter(low: Lowering, base: Any, value: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    return _put(low, base, value, lambda view: geometry.diagonal(view, offset, dim1, dim2))


@TABLE.lowers(aten.as_strided_scatter.default)
def _as_strided_scatter(
    low: Lowering, base: Any, value: Any, sizes: Sequence[int], strides: Sequence[int], offset: Any = None
) -> Value:
    memory_of(low, low.argument(0), base)
    return _put(low, base, value, lambda view: strided(view, sizes, strides, offset))
