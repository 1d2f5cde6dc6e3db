"""The pointwise functions of the intermediate form: what each means in torch, and in C++ on scalars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Function:
    """A pointwise function.

    Attributes:
        torch: what it means.
        cpp: the C++ expression, with {0}, {1}, ... for its arguments and R for the type of numbers.
        heavy: whether computing it again costs more than reading it back.
    """

    torch: Callable[..., Any]
    cpp: str
    heavy: bool = False


def _of_bits(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a function of whole numbers that are kept as real ones."""
    return lambda left, right: function(left.long(), right.long()).to(left.dtype)


FUNCTIONS: Mapping[str, Function] = {
    "add": Function(torch.add, "({0} + {1})"),
    "sub": Function(torch.sub, "({0} - {1})"),
    "mul": Function(torch.mul, "({0} * {1})"),
    # R(): comparisons are whole numbers in C++, and so is their quotient.
    "div": Function(torch.div, "(R({0}) / {1})", heavy=True),
    "quotient": Function(
        lambda left, right, inverse: left / right, "num::quotient(R({0}), R({1}), R({2}))", heavy=True
    ),
    "neg": Function(torch.neg, "(-{0})"),
    "exp": Function(torch.exp, "num::exp({0})", heavy=True),
    "exp2": Function(torch.exp2, "std::exp2({0})", heavy=True),
    "expm1": Function(torch.expm1, "num::expm1({0})", heavy=True),
    "log": Function(torch.log, "num::log({0})", heavy=True),
    "log2": Function(torch.log2, "std::log2({0})", heavy=True),
    "log10": Function(torch.log10, "std::log10({0})", heavy=True),
    "log1p": Function(torch.log1p, "num::log1p({0})", heavy=True),
    "sqrt": Function(torch.sqrt, "std::sqrt({0})", heavy=True),
    "rsqrt": Function(torch.rsqrt, "(R(1) / std::sqrt({0}))", heavy=True),
    "reciprocal": Function(torch.reciprocal, "(R(1) / {0})", heavy=True),
    "tanh": Function(torch.tanh, "num::tanh({0})", heavy=True),
    "sigmoid": Function(torch.sigmoid, "num::sigmoid({0})", heavy=True),
    "sin": Function(torch.sin, "std::sin({0})", heavy=True),
    "cos": Function(torch.cos, "std::cos({0})", heavy=True),
    "tan": Function(torch.tan, "std::tan({0})", heavy=True),
    "asin": Function(torch.asin, "std::asin({0})", heavy=True),
    "acos": Function(torch.acos, "std::acos({0})", heavy=True),
    "atan": Function(torch.atan, "std::atan({0})", heavy=True),
    "atan2": Function(torch.atan2, "std::atan2({0}, {1})", heavy=True),
    "hypot": Function(torch.hypot, "std::hypot({0}, {1})", heavy=True),
    "sinh": Function(torch.sinh, "std::sinh({0})", heavy=True),
    "cosh": Function(torch.cosh, "std::cosh({0})", heavy=True),
    "asinh": Function(torch.asinh, "std::asinh({0})", heavy=True),
    "acosh": Function(torch.acosh, "std::acosh({0})", heavy=True),
    "atanh": Function(torch.atanh, "std::atanh({0})", heavy=True),
    "erf": Function(torch.erf, "std::erf({0})", heavy=True),
    "erfc": Function(torch.erfc, "std::erfc({0})", heavy=True),
    "pow": Function(torch.pow, "std::pow({0}, {1})", heavy=True),
    "abs": Function(torch.abs, "std::fabs({0})"),
    "sign": Function(torch.sign, "[](R x) {{ return R((x > 0) - (x < 0)); }}({0})"),
    "floor": Function(torch.floor, "std::floor({0})"),
    "ceil": Function(torch.ceil, "std::ceil({0})"),
    "trunc": Function(torch.trunc, "std::trunc({0})"),
    "round": Function(torch.round, "std::nearbyint({0})"),
    "copysign": Function(torch.copysign, "std::copysign(R({0}), R({1}))"),
    "single": Function(lambda value: value.float().to(value.dtype), "R(float({0}))"),
    "fmod": Function(torch.fmod, "std::fmod({0}, {1})", heavy=True),
    "remainder": Function(
        torch.remainder,
        # x - y floor(x / y), rounded once, and put right by one y where the quotient was rounded over a whole number.
        "[](R x, R y) {{ R r = std::fma(-std::floor(x / y), y, x);"
        " r = (y > 0 ? r < 0 : r > 0) ? r + y : r; return (y > 0 ? r >= y : r <= y) ? r - y : r; }}({0}, {1})",
        heavy=True,
    ),
    # Both are NaN where either argument is.
    "maximum": Function(torch.maximum, "[](R x, R y) {{ return x > y || x != x ? x : y; }}({0}, {1})"),
    "minimum": Function(torch.minimum, "[](R x, R y) {{ return x < y || x != x ? x : y; }}({0}, {1})"),
    "where": Function(torch.where, "({0} ? R({1}) : R({2}))"),
    "gt": Function(torch.gt, "({0} > {1})"),
    "ge": Function(torch.ge, "({0} >= {1})"),
    "lt": Function(torch.lt, "({0} < {1})"),
    "le": Function(torch.le, "({0} <= {1})"),
    "eq": Function(torch.eq, "({0} == {1})"),
    "ne": Function(torch.ne, "({0} != {1})"),
    "and": Function(torch.logical_and, "({0} && {1})"),
    "or": Function(torch.logical_or, "({0} || {1})"),
    "not": Function(torch.logical_not, "(!{0})"),
    "bits_and": Function(_of_bits(torch.bitwise_and), "R((long)({0}) & (long)({1}))"),
    "bits_or": Function(_of_bits(torch.bitwise_or), "R((long)({0}) | (long)({1}))"),
    "bits_xor": Function(_of_bits(torch.bitwise_xor), "R((long)({0}) ^ (long)({1}))"),
}
"""Every function by name. A new one is added here and, where torch has an operation for it, in `operations`."""
