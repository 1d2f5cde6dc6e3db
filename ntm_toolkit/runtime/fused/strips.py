"""Strips: statements that go over the same long axis are carried out together, a short stretch of it at a time.

What one of them makes of a stretch is then still in the nearest cache when the next one reads it. Statements change
places for it, as far as none comes before what it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ntm_toolkit.runtime.fused.ir import (
    Buffer,
    Call,
    Contract,
    Expression,
    Load,
    Number,
    Reduce,
    Statement,
    Store,
    View,
    reads,
    writes,
)

SHORTEST = 32
"""Places along an axis below which there is nothing to gain."""

WIDTHS = (8, 10, 12, 6, 5, 4)
"""Places in a strip, the best first: few enough for what some rows of a memory take, enough to keep registers busy."""


@dataclass(frozen=True)
class Strip:
    """Statements that are carried out for `width` places of an axis at a time.

    Attributes:
        members: each statement with which of its axes it is; see `cut`.
        extent: how many places the axis has.
        width: a divisor of it.
    """

    members: tuple[tuple[Statement, int], ...]
    extent: int
    width: int


Unit = Statement | Strip


def statements_of(unit: Unit) -> list[Statement]:
    """Return the statements of a unit, in order."""
    return [statement for statement, _ in unit.members] if isinstance(unit, Strip) else [unit]


def in_strips(statements: Sequence[Statement]) -> list[Unit]:
    """Return the statements in an order that does the same, with those that may go together in strips."""
    units: list[Unit] = []
    rest = list(statements)
    while rest:
        seed, *later = rest
        extent = max((size for _, size in axes_of(seed) if _width(size)), default=0)
        if not extent:
            units.append(seed)
            rest = later
            continue
        group = _Group(extent)
        group.joins(seed)
        before: list[Statement] = []  # what members depend on
        free: list[Statement] = []  # what has nothing to do with them
        after: list[Statement] = []
        for statement in later:
            if _depends(statement, after):
                after.append(statement)
            elif group.joins(statement):
                needed, free = _needed(statement, free)
                before += needed
            elif _depends(statement, group.statements):
                after.append(statement)
            else:
                free.append(statement)
        if len(group.members) == 1:
            units.append(seed)
            rest = later
            continue
        units += [*in_strips(before), Strip(tuple(group.members), extent, _width(extent))]
        rest = [statement for statement in later if statement in after or statement in free]
    return units


def _width(extent: int) -> int:
    return next((width for width in WIDTHS if extent >= SHORTEST and extent % width == 0), 0)


def _needed(statement: Statement, free: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Return those that have to come before a statement, and the others."""
    needed: list[Statement] = [statement]
    others: list[Statement] = []
    for one in reversed(free):
        (needed if any(_depends(later, [one]) for later in needed) else others).append(one)
    return needed[:0:-1], others[::-1]


def _depends(statement: Statement, others: Sequence[Statement]) -> bool:
    written = {view.buffer for view in writes(statement)}
    touched = written | {view.buffer for view in reads(statement)}
    return any(view.buffer in touched for other in others for view in writes(other)) or any(
        view.buffer in written for other in others for view in reads(other)
    )


class _Group:
    """Statements that can be carried out strip by strip.

    Args:
        extent: places of their common axis.
    """

    def __init__(self, extent: int) -> None:
        self.extent = extent
        self.members: list[tuple[Statement, int]] = []
        self.statements: list[Statement] = []
        self.made: dict[Buffer, int] = {}  # the step along the axis; 0 for what is there only after all strips

    def joins(self, statement: Statement) -> bool:
        """Take a statement in, if it reads of what others make no more than the strip that they have just made."""
        for axis, size in axes_of(statement):
            if size != self.extent:
                continue
            views = views_along(statement, axis)
            if all(self._fits(view, step) for view, step in views if view.buffer in self.made):
                targets = {view.buffer for view in writes(statement)}
                steps = {
                    step if _apart(view, step, self.extent) else 0 for view, step in views if view.buffer in targets
                }
                self.made |= {buffer: steps.pop() if len(steps) == 1 else 0 for buffer in targets}
                self.members.append((statement, axis))
                self.statements.append(statement)
                return True
        return False

    def _fits(self, view: View, step: int) -> bool:
        return step != 0 and self.made[view.buffer] == step and _apart(view, step, self.extent)


def _apart(view: View, step: int, extent: int) -> bool:
    """Return whether a view's places along a step are those along an axis of its buffer, each apart from the others."""
    whole = view.buffer.whole()
    if not any(size == extent and stride == step for size, stride in zip(whole.shape, whole.strides, strict=True)):
        return False
    within, found = view.offset % step, 0
    for size, stride in zip(view.shape, view.strides, strict=True):
        if stride == step and size == extent:
            found += 1
        elif size > 1 and 0 <= stride < step:
            within += (size - 1) * stride
        elif size > 1 and stride % (step * extent):
            return False
    return found == 1 and within < step and view.offset // step % extent == 0


def axes_of(statement: Statement) -> list[tuple[int, int]]:
    """Return the axes along which a statement can be cut, and how many places each has."""
    match statement:
        case Store(target, expression) if _plain(expression):
            return list(enumerate(target.shape))
        case Reduce(expression=expression, shape=shape) if _plain(expression):
            return list(enumerate(shape))
        case Contract(target, left, right, start) if not (left.buffer.shared or right.buffer.shared):
            if start is None:
                return [*enumerate(target.shape), (len(target.shape), left.shape[-1])]
    return []


def _plain(expression: Expression) -> bool:
    match expression:
        case Load() | Number():
            return True
        case Call(_, arguments):
            return all(map(_plain, arguments))
    return False


def views_along(statement: Statement, axis: int) -> list[tuple[View, int]]:
    """Return the views of a statement, each with its step along one of the statement's axes."""
    found: list[tuple[View, int]] = []

    def seen(view: View, step: int) -> View:
        found.append((view, step))
        return view

    cut(statement, axis, 0, seen)
    return found


def cut(statement: Statement, axis: int, width: int, moved: Callable[[View, int], View]) -> Statement:
    """Return what a statement does on a strip.

    Args:
        statement: one that has the axis; those of a contraction are its target's and, after them, the one summed over.
        axis: which.
        width: places of the strip; 0 leaves the statement as long as it is.
        moved: makes of a view, and its step along the axis, the view that begins where the strip does.
    """

    def narrow(view: View, place: int | None) -> View:
        if place is None or place < 0 or view.shape[place] == 1:
            return moved(view, 0)
        shape = tuple(width or size if at == place else size for at, size in enumerate(view.shape))
        return moved(replace(view, shape=shape), view.strides[place])

    def within(expression: Expression, rank: int) -> Expression:
        match expression:
            case Load(view):
                return Load(narrow(view, axis - (rank - len(view.shape))))
            case Call(function, arguments):
                return Call(function, tuple(within(argument, rank) for argument in arguments))
        return expression

    match statement:
        case Store(target, expression):
            return replace(statement, target=narrow(target, axis), expression=within(expression, len(target.shape)))
        case Reduce(target=target, expression=expression, shape=shape):
            short = tuple(width or size if at == axis else size for at, size in enumerate(shape))
            value = within(expression, len(shape))
            return replace(statement, target=narrow(target, axis), expression=value, shape=short)
        case Contract(target, left, right):
            outer, rank = target.shape[:-2], len(target.shape)
            left, right = (view.broadcast((*outer, *view.shape[-2:])) for view in (left, right))
            return replace(
                statement,
                target=narrow(target, axis if axis < rank else None),
                left=narrow(left, {rank - 1: None, rank: rank - 1}.get(axis, axis)),
                right=narrow(right, {rank - 2: None, rank: rank - 2}.get(axis, axis)),
            )
    raise AssertionError(statement)


def sums_over(statement: Statement, axis: int) -> bool:
    """Return whether what a statement makes of a strip is to be taken together with what it made of those before."""
    match statement:
        case Reduce(axes=axes):
            return axis in axes
        case Contract(target=target):
            return axis == len(target.shape)
    return False
