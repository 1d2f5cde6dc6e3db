"""Elements taken from places, and put at places, that are numbers themselves."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.geometry import axis_of, broadcast_shape
from ntm_toolkit.runtime.fused.ir import Expression, Load, Pick, Scatter
from ntm_toolkit.runtime.fused.lowering import Lazy, Lowering, Stored, Table, Value, dtype_of, shape_of
from ntm_toolkit.runtime.fused.operations.viewing import reshaped
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError, depends_on_values

aten = torch.ops.aten
TABLE = Table()


@TABLE.lowers(aten.gather.default)
def _gather(low: Lowering, value: Any, axis: int, index: Any, *, sparse_grad: bool = False) -> Any:
    shape = shape_of(index)
    if not shape:
        return value
    view, axis = low.view(value), axis_of(axis, len(shape))
    # Along other axes a gather may read fewer elements than there are.
    for other, size in enumerate(shape):
        if other != axis:
            view = geometry.narrow(view, other, 0, size)
    return Lazy(Pick(view, axis, low.expression(index)), shape)


@TABLE.lowers(aten.index_select.default)
def _index_select(low: Lowering, value: Any, axis: int, index: Any) -> Any:
    shape = list(shape_of(value))
    axis = axis_of(axis, len(shape))
    shape[axis] = prod(shape_of(index))
    return Lazy(Pick(low.view(value), axis, _along(low, index, axis, len(shape))), tuple(shape))


def _along(low: Lowering, index: Any, axis: int, rank: int) -> Expression:
    """Return places as an expression that varies along one axis."""
    view = reshaped(low, index, [-1]).view
    for _ in range(rank - 1 - axis):
        view = geometry.unsqueeze(view, len(view.shape))
    return Load(geometry.leading(view, axis))


@TABLE.lowers(aten.embedding.default)
def _embedding(low: Lowering, weight: Any, index: Any, *options: Any) -> Value:
    rows = _index_select(low, weight, 0, index)
    return reshaped(low, rows, (*shape_of(index), shape_of(weight)[1]))


class _Places:
    """What `value[i, j, ..]` means: places along one axis of the value in another shape.

    The indexed axes become one. They stand where they are if they are neighbours, and in front otherwise, as torch has
    it.

    Attributes:
        index: the place along that axis, in the shape to which the index tensors broadcast.
        axis: that axis.
        order: how the value's axes are permuted first.
        merged: the shape of the value that is then indexed.
        result: the shape of what is found.
    """

    def __init__(self, low: Lowering, shape: tuple[int, ...], indices: Sequence[Any], nodes: Sequence[Any]) -> None:
        given = [axis for axis, index in enumerate(indices) if index is not None]
        if any(dtype_of(nodes[axis]) in (torch.bool, torch.uint8) for axis in given):
            raise depends_on_values()
        together = given == list(range(given[0], given[-1] + 1))
        rest = [axis for axis in range(len(shape)) if axis not in given]
        self.axis = given[0] if together else 0
        self.order = [*rest[: self.axis], *given, *rest[self.axis :]]
        before, after = ([shape[axis] for axis in part] for part in (rest[: self.axis], rest[self.axis :]))
        self.merged = (*before, prod(shape[axis] for axis in given), *after)
        self.index: Any = 0
        for axis in given:
            place = _not_negative(low, indices[axis], shape[axis])
            if isinstance(place, torch.Tensor) and isinstance(self.index, int | torch.Tensor):
                self.index = self.index * shape[axis] + place
            else:
                self.index = low.pointwise("add", low.pointwise("mul", self.index, shape[axis]), place)
        self.places = broadcast_shape(*(shape_of(indices[axis]) for axis in given))
        self.result = (*before, *self.places, *after)
        self.flat_result = (*before, prod(self.places), *after)

    def seen(self, low: Lowering, value: Any) -> Stored:
        """Return the value with the indexed axes as one."""
        return reshaped(low, Stored(geometry.permute(low.view(value), self.order)), self.merged)

    def along(self, low: Lowering) -> Expression:
        """Return the places as an expression over the flat result."""
        return _along(low, self.index, self.axis, len(self.merged))


def _not_negative(low: Lowering, index: Any, size: int) -> Any:
    """Return places counted from the start; negative ones are counted from the end."""
    if isinstance(index, torch.Tensor):
        return torch.where(index < 0, index + size, index)
    index = low.stored(index)
    return low.pointwise("where", low.pointwise("lt", index, 0), low.pointwise("add", index, size), index)


@TABLE.lowers(aten.index.Tensor)
def _index(low: Lowering, value: Any, indices: Sequence[Any]) -> Value:
    places = _Places(low, shape_of(value), indices, low.argument(1))
    found = Lazy(Pick(places.seen(low, value).view, places.axis, places.along(low)), places.flat_result)
    return found if places.flat_result == places.result else reshaped(low, found, places.result)


@TABLE.lowers(aten.index_put.default, aten._unsafe_index_put.default)
def _index_put(low: Lowering, base: Any, indices: Sequence[Any], value: Any, accumulate: bool = False) -> Value:
    nodes = low.argument(1)
    if len(indices) == 1 and dtype_of(nodes[0]) == torch.bool:
        return _put_where(low, base, indices[0], value, accumulate)
    places = _Places(low, shape_of(base), indices, nodes)
    spread = reshaped(low, Stored(low.view(value).broadcast(places.result)), places.flat_result)
    made = _scattered(
        low, places.seen(low, base), places.axis, places.along(low), spread, places.flat_result, accumulate
    )
    permuted = reshaped(low, made, [shape_of(base)[axis] for axis in places.order])
    back = [places.order.index(axis) for axis in range(len(places.order))]
    return Stored(geometry.permute(permuted.view, back))


def _put_where(low: Lowering, base: Any, mask: Any, value: Any, accumulate: bool) -> Lazy:
    """Return base, but the value (or base and it) where a mask is true."""
    if prod(shape_of(value)) != 1:
        raise UnsupportedError(
            "a mask picks the places that several values are put at, and how many they are depends on data",
            "give every place a value, and choose with `torch.where`",
        )
    view = low.view(mask)
    for _ in range(len(shape_of(base)) - len(view.shape)):
        view = geometry.unsqueeze(view, len(view.shape))
    value = reshaped(low, value, ())
    base = low.stored(base)
    return low.pointwise("where", Stored(view), low.pointwise("add", base, value) if accumulate else value, base)


@TABLE.lowers(aten.scatter_add.default)
def _scatter_add(low: Lowering, base: Any, axis: int, index: Any, value: Any) -> Value:
    return _scatter_at(low, base, axis, index, value, True)


@TABLE.lowers(aten.scatter.src, aten.scatter.value)
def _scatter(low: Lowering, base: Any, axis: int, index: Any, value: Any) -> Value:
    return _scatter_at(low, base, axis, index, value, False)


@TABLE.lowers(aten.scatter_reduce.two)
def _scatter_reduce(
    low: Lowering, base: Any, axis: int, index: Any, value: Any, reduce: str, *, include_self: bool = True
) -> Value:
    if reduce != "sum" or not include_self:
        raise UnsupportedError(f"scatter_reduce with '{reduce}'", "use `scatter_add`, or a mask and a reduction")
    return _scatter_at(low, base, axis, index, value, True)


def _scatter_at(low: Lowering, base: Any, axis: int, index: Any, value: Any, accumulate: bool) -> Value:
    shape = shape_of(index)
    if not shape:
        return low.pointwise("add", base, value) if accumulate else low.pointwise("mul", value, 1)
    if shape_of(value) and shape_of(value) != shape:
        # The source may be larger than the index; its first elements are what is put.
        view = low.view(value)
        for other, size in enumerate(shape):
            view = geometry.narrow(view, other, 0, size)
        value = Stored(view)
    return _scattered(low, base, axis, low.expression(index), value, shape, accumulate)


def _scattered(
    low: Lowering, base: Any, axis: int, index: Expression, value: Any, shape: tuple[int, ...], accumulate: bool
) -> Stored:
    expression = low.expression(value)
    target = low.copied(base).view
    low.statements.append(Scatter(target, axis_of(axis, len(shape)), index, expression, shape, accumulate))
    return Stored(target)
