"""Operations on each element alone, conversions of dtype, and constant tensors.

Everything is stored as real numbers, whole numbers and truth values too. Where torch computes otherwise with those, the
graph's dtypes say so.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from ntm_toolkit.runtime.fused.expressions import heavy, length
from ntm_toolkit.runtime.fused.geometry import broadcast_shape
from ntm_toolkit.runtime.fused.lowering import (
    Lazy,
    Lowering,
    Stored,
    Table,
    Value,
    dtype_of,
    shape_of,
)
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

aten = torch.ops.aten
TABLE = Table()

_OF_TRUTHS = {"add": "or", "mul": "and", "maximum": "or", "minimum": "and"}
"""What torch's arithmetic means where its result is a truth value."""


def _pointwise(function: str, low: Lowering, *arguments: Any) -> Lazy:
    if low.dtype == torch.bool:
        function = _OF_TRUTHS.get(function, function)
    return low.pointwise(function, *arguments)


for _name, _operations in {
    "mul": (aten.mul.Tensor, aten.mul.Scalar),
    "div": (aten.div.Tensor, aten.div.Scalar),
    "neg": (aten.neg.default,),
    "exp": (aten.exp.default,),
    "exp2": (aten.exp2.default,),
    "expm1": (aten.expm1.default,),
    "log": (aten.log.default,),
    "log2": (aten.log2.default,),
    "log10": (aten.log10.default,),
    "log1p": (aten.log1p.default,),
    "sqrt": (aten.sqrt.default,),
    "rsqrt": (aten.rsqrt.default,),
    "reciprocal": (aten.reciprocal.default,),
    "tanh": (aten.tanh.default,),
    "sigmoid": (aten.sigmoid.default,),
    "sin": (aten.sin.default,),
    "cos": (aten.cos.default,),
    "tan": (aten.tan.default,),
    "asin": (aten.asin.default,),
    "acos": (aten.acos.default,),
    "atan": (aten.atan.default,),
    "atan2": (aten.atan2.default,),
    "hypot": (aten.hypot.default,),
    "copysign": (aten.copysign.Tensor, aten.copysign.Scalar),
    "sinh": (aten.sinh.default,),
    "cosh": (aten.cosh.default,),
    "asinh": (aten.asinh.default,),
    "acosh": (aten.acosh.default,),
    "atanh": (aten.atanh.default,),
    "erf": (aten.erf.default,),
    "erfc": (aten.erfc.default,),
    "abs": (aten.abs.default,),
    "sign": (aten.sign.default, aten.sgn.default),
    "floor": (aten.floor.default,),
    "ceil": (aten.ceil.default,),
    "trunc": (aten.trunc.default,),
    "round": (aten.round.default,),
    "fmod": (aten.fmod.Scalar, aten.fmod.Tensor),
    "remainder": (aten.remainder.Scalar, aten.remainder.Tensor),
    "maximum": (aten.maximum.default,),
    "minimum": (aten.minimum.default,),
    "where": (aten.where.self,),
    "gt": (aten.gt.Scalar, aten.gt.Tensor),
    "ge": (aten.ge.Scalar, aten.ge.Tensor),
    "lt": (aten.lt.Scalar, aten.lt.Tensor),
    "le": (aten.le.Scalar, aten.le.Tensor),
    "eq": (aten.eq.Scalar, aten.eq.Tensor),
    "ne": (aten.ne.Scalar, aten.ne.Tensor),
    "and": (aten.logical_and.default,),
    "or": (aten.logical_or.default,),
    "not": (aten.logical_not.default,),
}.items():
    TABLE.update(dict.fromkeys(_operations, partial(_pointwise, _name)))


@TABLE.lowers(aten.add.Tensor, aten.add.Scalar)
def _add(low: Lowering, left: Any, right: Any, alpha: float = 1) -> Value:
    if low.dtype == torch.bool:
        return low.pointwise("or", left, right)
    return low.add(left, right if alpha == 1 else low.pointwise("mul", right, alpha))


@TABLE.lowers(aten.sub.Tensor, aten.sub.Scalar)
def _sub(low: Lowering, left: Any, right: Any, alpha: float = 1) -> Lazy:
    return low.pointwise("sub", left, right if alpha == 1 else low.pointwise("mul", right, alpha))


@TABLE.lowers(aten.rsub.Scalar, aten.rsub.Tensor)
def _rsub(low: Lowering, left: Any, right: Any, alpha: float = 1) -> Lazy:
    return _sub(low, right, left, alpha)


@TABLE.lowers(aten.logical_xor.default)
def _xor(low: Lowering, left: Any, right: Any) -> Lazy:
    return low.pointwise("ne", low.pointwise("ne", left, 0), low.pointwise("ne", right, 0))


def _bitwise(function: str, low: Lowering, *arguments: Any) -> Lazy:
    if low.dtype == torch.bool:
        return _xor(low, *arguments) if function == "xor" else low.pointwise(function, *arguments)
    if function == "not":
        return low.pointwise("sub", -1, *arguments)
    return low.pointwise(f"bits_{function}", *arguments)


for _name, _operations in {
    "and": (aten.bitwise_and.Tensor, aten.bitwise_and.Scalar),
    "or": (aten.bitwise_or.Tensor, aten.bitwise_or.Scalar),
    "xor": (aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar),
    "not": (aten.bitwise_not.default,),
}.items():
    TABLE.update(dict.fromkeys(_operations, partial(_bitwise, _name)))


@TABLE.lowers(
    aten.__lshift__.Scalar,
    aten.__lshift__.Tensor,
    aten.bitwise_left_shift.Tensor,
    aten.bitwise_left_shift.Tensor_Scalar,
    aten.bitwise_left_shift.Scalar_Tensor,
)
def _left_shift(low: Lowering, value: Any, bits: Any) -> Lazy:
    return low.pointwise("mul", value, low.pointwise("exp2", bits))


@TABLE.lowers(
    aten.__rshift__.Scalar,
    aten.__rshift__.Tensor,
    aten.bitwise_right_shift.Tensor,
    aten.bitwise_right_shift.Tensor_Scalar,
    aten.bitwise_right_shift.Scalar_Tensor,
)
def _right_shift(low: Lowering, value: Any, bits: Any) -> Lazy:
    return low.pointwise("floor", low.pointwise("div", value, low.pointwise("exp2", bits)))


@TABLE.lowers(aten.div.Tensor_mode, aten.div.Scalar_mode)
def _div_mode(low: Lowering, left: Any, right: Any, *, rounding_mode: str | None) -> Lazy:
    if rounding_mode is None:
        return low.pointwise("div", left, right)
    # Without the remainder the quotient is a whole number, but for rounding.
    rest = low.stored(low.pointwise("fmod" if rounding_mode == "trunc" else "remainder", left, right))
    return low.pointwise("round", low.pointwise("div", low.pointwise("sub", left, rest), right))


@TABLE.lowers(aten.isnan.default)
def _isnan(low: Lowering, value: Any) -> Lazy:
    value = low.stored(value)
    return low.pointwise("ne", value, value)


@TABLE.lowers(aten.isinf.default)
def _isinf(low: Lowering, value: Any) -> Lazy:
    return low.pointwise("eq", low.pointwise("abs", value), float("inf"))


@TABLE.lowers(aten.fmax.default)
def _fmax(low: Lowering, left: Any, right: Any) -> Lazy:
    return _but_for_nan(low, "maximum", left, right)


@TABLE.lowers(aten.fmin.default)
def _fmin(low: Lowering, left: Any, right: Any) -> Lazy:
    return _but_for_nan(low, "minimum", left, right)


def _but_for_nan(low: Lowering, function: str, left: Any, right: Any) -> Lazy:
    """Return the function of both, or the other one where one is NaN."""
    left, right = _once(low, left), _once(low, right)
    both = low.pointwise("where", low.pointwise("ne", right, right), left, low.pointwise(function, left, right))
    return low.pointwise("where", low.pointwise("ne", left, left), right, both)


@TABLE.lowers(aten.relu.default)
def _relu(low: Lowering, value: Any) -> Lazy:
    return low.pointwise("maximum", value, 0.0)


@TABLE.lowers(aten.clamp.default, aten.clamp.Tensor)
def _clamp(low: Lowering, value: Any, least: Any = None, most: Any = None) -> Any:
    if least is not None:
        value = low.pointwise("maximum", value, least)
    return value if most is None else low.pointwise("minimum", value, most)


@TABLE.lowers(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor, aten.pow.Scalar)
def _power(low: Lowering, base: Any, exponent: Any) -> Lazy:
    if isinstance(exponent, int | float) and exponent in (2, 3):
        base = _once(low, base)
        square = low.pointwise("mul", base, base)
        return square if exponent == 2 else low.pointwise("mul", square, base)
    if isinstance(exponent, int | float) and exponent == 0.5:
        return low.pointwise("sqrt", base)
    power = low.pointwise("pow", base, exponent)
    return power if low.dtype.is_floating_point else low.pointwise("round", power)


@TABLE.lowers(aten.lerp.Tensor, aten.lerp.Scalar)
def _lerp(low: Lowering, start: Any, end: Any, weight: Any) -> Lazy:
    # From the nearer end, as torch does: from the other one, what is small beside it would be lost by rounding.
    start, end, weight = (_once(low, value) for value in (start, end, weight))
    way = low.pointwise("sub", end, start)
    from_start = low.pointwise("add", start, low.pointwise("mul", weight, way))
    from_end = low.pointwise("sub", end, low.pointwise("mul", way, low.pointwise("sub", 1.0, weight)))
    near_start = low.pointwise("lt", low.pointwise("abs", weight), 0.5)
    return low.pointwise("where", near_start, from_start, from_end)


def _once(low: Lowering, value: Any) -> Any:
    """Return what can be read twice without much being computed twice."""
    again = isinstance(value, Lazy) and (heavy(value.expression) or length(value.expression) > 2)
    return low.stored(value) if again else value


@TABLE.lowers(aten.alias.default, aten.clone.default, aten.detach.default, aten.lift_fresh_copy.default)
def _same(low: Lowering, value: Any, **options: Any) -> Any:
    return value


@TABLE.lowers(aten._to_copy.default)
def _to_copy(low: Lowering, value: Any, **options: Any) -> Any:
    return _converted(low, value, dtype_of(low.argument(0)), low.dtype)


@TABLE.lowers(aten.copy.default)
def _copy(low: Lowering, into: Any, value: Any, non_blocking: bool = False) -> Any:
    value = _converted(low, value, dtype_of(low.argument(1)), low.dtype)
    shape = broadcast_shape(shape_of(into), shape_of(value))
    return value if shape_of(value) == shape else Stored(low.view(value).broadcast(shape))


def _converted(low: Lowering, value: Any, before: torch.dtype | None, after: torch.dtype) -> Any:
    if after == before:
        return value
    if after.is_complex or after in (torch.float16, torch.bfloat16):
        raise UnsupportedError(f"numbers become {after}", "keep the dtype of the step's inputs")
    if after == torch.bool:
        return low.pointwise("ne", value, 0)
    if not after.is_floating_point and (before is None or before.is_floating_point):
        return low.pointwise("trunc", value)
    return value


@TABLE.lowers(aten.full_like.default)
def _full_like(low: Lowering, value: Any, fill: float, **options: Any) -> torch.Tensor:
    return torch.full(shape_of(value), fill, dtype=low.dtype)


@TABLE.lowers(aten.zeros_like.default, aten.empty_like.default, aten.new_empty_strided.default)
def _zeros_like(low: Lowering, value: Any, *sizes: Any, **options: Any) -> torch.Tensor:
    return torch.zeros(sizes[0] if sizes else shape_of(value), dtype=low.dtype)


@TABLE.lowers(aten.ones_like.default)
def _ones_like(low: Lowering, value: Any, **options: Any) -> torch.Tensor:
    return torch.ones(shape_of(value), dtype=low.dtype)
