"""Reductions, products of matrices, and scans."""

from __future__ import annotations

from math import inf, nan, prod
from typing import Any

import torch

from ntm_toolkit.runtime.fused.geometry import axis_of
from ntm_toolkit.runtime.fused.ir import Scan
from ntm_toolkit.runtime.fused.lowering import Lazy, Lowering, Stored, Table, Value, axes_of, shape_of

aten = torch.ops.aten
TABLE = Table()


@TABLE.lowers(aten.sum.dim_IntList)
def _sum(low: Lowering, value: Any, axes: Any, keep: bool = False, *, dtype: Any = None) -> Stored:
    return low.reduce("sum", value, axes, keep)


@TABLE.lowers(aten.sum.default)
def _sum_all(low: Lowering, value: Any, *, dtype: Any = None) -> Stored:
    return low.reduce("sum", value, None, False)


@TABLE.lowers(aten.mean.dim, aten.mean.default)
def _mean(low: Lowering, value: Any, axes: Any = None, keep: bool = False, *, dtype: Any = None) -> Lazy:
    return low.pointwise("mul", low.reduce("sum", value, axes, keep), 1.0 / _count(value, axes))


def _count(value: Any, axes: Any) -> int:
    shape = shape_of(value)
    return prod(shape[axis] for axis in axes_of(axes, len(shape)))


@TABLE.lowers(aten.amax.default)
def _amax(low: Lowering, value: Any, axes: Any = (), keep: bool = False) -> Stored:
    return low.reduce("max", value, axes, keep)


@TABLE.lowers(aten.max.default)
def _max_of_all(low: Lowering, value: Any) -> Stored:
    return low.reduce("max", value, None, False)


@TABLE.lowers(aten.min.default)
def _min_of_all(low: Lowering, value: Any) -> Stored:
    return low.reduce("min", value, None, False)


@TABLE.lowers(aten.amin.default)
def _amin(low: Lowering, value: Any, axes: Any = (), keep: bool = False) -> Stored:
    return low.reduce("min", value, axes, keep)


@TABLE.lowers(aten.any.dim, aten.any.dims)
def _any(low: Lowering, value: Any, axes: Any = None, keep: bool = False) -> Stored:
    return low.reduce("max", low.pointwise("ne", value, 0), [axes] if isinstance(axes, int) else axes, keep)


@TABLE.lowers(aten.any.default)
def _any_all(low: Lowering, value: Any) -> Stored:
    return low.reduce("max", low.pointwise("ne", value, 0), None, False)


@TABLE.lowers(aten.prod.dim_int)
def _prod(low: Lowering, value: Any, axis: int, keep: bool = False, *, dtype: Any = None) -> Stored:
    return low.reduce("prod", value, [axis], keep)


@TABLE.lowers(aten.prod.default)
def _prod_all(low: Lowering, value: Any, *, dtype: Any = None) -> Stored:
    return low.reduce("prod", value, None, False)


@TABLE.lowers(aten.linalg_vector_norm.default)
def _norm(
    low: Lowering, value: Any, order: float = 2, axes: Any = None, keep: bool = False, *, dtype: Any = None
) -> Value:
    if order == 2:
        value = low.stored(value)
        return low.pointwise("sqrt", low.reduce("sum", low.pointwise("mul", value, value), axes, keep))
    if order == 0:
        return low.reduce("sum", low.pointwise("ne", value, 0), axes, keep)
    size = low.pointwise("abs", value)
    if order == 1:
        return low.reduce("sum", size, axes, keep)
    if order in (inf, -inf):
        return low.reduce("max" if order > 0 else "min", size, axes, keep)
    return low.pointwise("pow", low.reduce("sum", low.pointwise("pow", size, order), axes, keep), 1 / order)


@TABLE.lowers(aten._softmax.default)
def _softmax(low: Lowering, value: Any, axis: int, half: bool) -> Lazy:
    value = low.stored(value)
    most = low.reduce("max", value, [axis], True)
    powers = low.stored(low.pointwise("exp", low.pointwise("sub", value, most)))
    total = low.reduce("sum", powers, [axis], True)
    return low.pointwise("mul", powers, low.stored(low.pointwise("reciprocal", total)))


@TABLE.lowers(aten.var.correction)
def _var(low: Lowering, value: Any, axes: Any = None, *, correction: float | None = 1, keepdim: bool = False) -> Lazy:
    return _variance(low, value, axes, correction, keepdim)[0]


@TABLE.lowers(aten.var_mean.correction)
def _var_mean(
    low: Lowering, value: Any, axes: Any = None, *, correction: float | None = 1, keepdim: bool = False
) -> list[Value]:
    return list(_variance(low, value, axes, correction, keepdim))


def _variance(low: Lowering, value: Any, axes: Any, correction: float | None, keep: bool) -> tuple[Lazy, Lazy]:
    value, count = low.stored(value), _count(value, axes)
    # Each of the two is stored if more than one reads it; the mean that is taken off is one of its own.
    mean = low.stored(_mean(low, value, axes, True))
    centred = low.stored(low.pointwise("sub", value, mean))
    total = low.reduce("sum", low.pointwise("mul", centred, centred), axes, keep)
    freedom = count - (1 if correction is None else correction)
    return low.pointwise("mul", total, 1.0 / freedom if freedom > 0 else nan), _mean(low, value, axes, keep)


@TABLE.lowers(aten.mm.default, aten.bmm.default)
def _matmul(low: Lowering, left: Any, right: Any) -> Value:
    return low.contract(left, right)


@TABLE.lowers(aten.addmm.default, aten.baddbmm.default)
def _addmm(low: Lowering, start: Any, left: Any, right: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    if beta != 1 or alpha != 1:
        product = low.contract(left, right)
        return low.pointwise("add", low.pointwise("mul", start, beta), low.pointwise("mul", product, alpha))
    shape = (*shape_of(left)[:-1], shape_of(right)[-1])
    # Broadcast, so that what is heavy to compute is stored.
    return low.contract(left, right, low.expression(_broadcast(low, start, shape)))


def _broadcast(low: Lowering, value: Any, shape: tuple[int, ...]) -> Any:
    return value if shape_of(value) == shape else Stored(low.view(value).broadcast(shape))


@TABLE.lowers(aten.cumsum.default)
def _cumsum(low: Lowering, value: Any, axis: int, *, dtype: Any = None) -> Any:
    return _scan(low, "sum", value, axis)


@TABLE.lowers(aten.cumprod.default)
def _cumprod(low: Lowering, value: Any, axis: int, *, dtype: Any = None) -> Any:
    return _scan(low, "prod", value, axis)


def _scan(low: Lowering, kind: Any, value: Any, axis: int) -> Any:
    shape = shape_of(value)
    if not shape:
        return value
    expression = low.expression(value)
    target = low.buffer(shape).whole()
    low.statements.append(Scan(target, kind, expression, axis_of(axis, len(shape))))
    return Stored(target)
