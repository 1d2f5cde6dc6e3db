"""Pointwise expressions: how long and how costly they are, and in which shape they are read."""

from __future__ import annotations

from math import prod

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.ir import Call, Expression, Load, Number, Pick, Shape, loads
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS


def length(expression: Expression) -> int:
    """Return how many reads and calls an expression has, 0 if it is a number."""
    match expression:
        case Number():
            return 0
        case Load():
            return 1
        case Pick(_, _, index):
            return 1 + length(index)
        case Call(_, arguments):
            return 1 + sum(length(argument) for argument in arguments)


def heavy(expression: Expression) -> bool:
    """Return whether computing an expression again costs more than reading it back."""
    match expression:
        case Call(function, arguments):
            return FUNCTIONS[function].heavy or any(heavy(argument) for argument in arguments)
    return False


def cheap_again(expression: Expression, shape: Shape, uses: int) -> bool:
    """Return whether each of `uses` readers had better compute a large expression itself.

    What counts is traffic with memory: stored, an expression of so many large views costs reading them once, writing it
    once and reading it `uses` times; computed again, it costs reading them `uses` times.
    """
    if prod(shape) < _LARGE or heavy(expression) or length(expression) > _SHORT:
        return False
    large = sum(
        prod(size for size, step in zip(view.shape, view.strides, strict=True) if step) == prod(shape)
        for view in loads(expression)
    )
    return large * uses <= large + 1 + uses


_LARGE = 1024
"""Numbers below which memory is near, and storing costs less than computing."""

_SHORT = 6


def aligned(expression: Expression, rank: int, wanted: int) -> Expression:
    """Return the expression of `rank` axes as one of `wanted`, new ones before them."""
    if rank == wanted:
        return expression
    match expression:
        case Load(view):
            return Load(geometry.leading(view, wanted - rank))
        case Pick(view, axis, index):
            return Pick(geometry.leading(view, wanted - rank), axis + wanted - rank, aligned(index, rank, wanted))
        case Call(function, arguments):
            return Call(function, tuple(aligned(argument, rank, wanted) for argument in arguments))
    return expression


def called(function: str, arguments: tuple[Expression, ...]) -> Expression:
    """Return the function of expressions, or what it plainly is."""
    match function, arguments:
        case ("mul", (x, Number(1))) | ("mul", (Number(1), x)) | ("div", (x, Number(1))):
            return x
        case ("add", (x, Number(0))) | ("add", (Number(0), x)) | ("sub", (x, Number(0))):
            return x
    return Call(function, arguments)
