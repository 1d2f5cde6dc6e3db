"""The intermediate form of a step: statements over buffers, one sample's worth each, in order of execution.

A *buffer* holds numbers of one sample (or shared by all: parameters and constants). A *view* is a strided window of a
buffer; it is never copied. An *expression* is pointwise: it is evaluated at each index of a statement's shape, its
loads broadcast to it. A *statement* stores expressions, reduces them, contracts two views, scatters, scans or sorts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from math import prod
from typing import Any, Literal

import torch

Shape = tuple[int, ...]
Kind = Literal["input", "shared", "constant", "work"]


@dataclass(frozen=True, eq=False)
class Buffer:
    """Numbers in memory: of each sample, unless they are shared (parameters) or constant.

    Attributes:
        name: unique in its program, a C identifier.
        shape: with the traced batch of 1 where a tensor had one; row-major.
        kind: where the numbers come from.
        origin: the path of the part that made it, for messages and `--explain`.
        value: the numbers of a constant.
    """

    name: str
    shape: Shape
    kind: Kind = "work"
    origin: str = ""
    value: torch.Tensor | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def shared(self) -> bool:
        """Whether all samples see the same numbers."""
        return self.kind in ("shared", "constant")

    def whole(self) -> View:
        """Return the view of all of it."""
        return View(self, self.shape, row_major(self.shape), 0)


@dataclass(frozen=True)
class View:
    """A strided window: element i of the view is element offset + sum(i * strides) of the buffer."""

    buffer: Buffer
    shape: Shape
    strides: Shape
    offset: int

    def broadcast(self, shape: Shape) -> View:
        """Return the view whose shape is `shape`, by the rules of broadcasting."""
        lead = len(shape) - len(self.shape)
        strides = [0] * lead
        for size, stride, wanted in zip(self.shape, self.strides, shape[lead:], strict=True):
            strides.append(0 if size == 1 and wanted != 1 else stride)
        return View(self.buffer, shape, tuple(strides), self.offset)


def row_major(shape: Sequence[int]) -> Shape:
    """Return the strides of a row-major tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


@dataclass(frozen=True)
class Number:
    """The same number everywhere."""

    value: float | bool


@dataclass(frozen=True)
class Load:
    """The element of a view at the statement's index, broadcast."""

    view: View


@dataclass(frozen=True)
class Pick:
    """The element of a view at the statement's index, but along `axis` at the place that `index` says."""

    view: View
    axis: int
    index: Expression


@dataclass(frozen=True)
class Call:
    """A pointwise function of expressions; its name is one of `pointwise.FUNCTIONS`."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Load | Pick | Call


def loads(expression: Expression) -> Iterator[View]:
    """Return the views that an expression reads."""
    match expression:
        case Load(view):
            yield view
        case Pick(view, _, index):
            yield view
            yield from loads(index)
        case Call(_, arguments):
            for argument in arguments:
                yield from loads(argument)


@dataclass(frozen=True)
class Store:
    """target[i] = expression[i], or += with `accumulate`."""

    target: View
    expression: Expression
    accumulate: bool = False


@dataclass(frozen=True)
class Reduce:
    """target[i] = sum, max, min or product over the axes `axes` of `shape`; the target keeps them with size 1."""

    target: View
    kind: Literal["sum", "max", "min", "prod"]
    expression: Expression
    shape: Shape
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Contract:
    """target[b, m, n] = sum_k left[b, m, k] right[b, k, n], plus what `start` says."""

    target: View
    left: View
    right: View
    start: Expression | None = None


@dataclass(frozen=True)
class Scatter:
    """target[.., index[j], ..] += expression[.., j, ..] along one axis, after what it holds."""

    target: View
    axis: int
    index: Expression
    expression: Expression
    shape: Shape
    accumulate: bool


@dataclass(frozen=True)
class Scan:
    """target[.., j, ..] = sum or product over i <= j of expression[.., i, ..] along one axis."""

    target: View
    kind: Literal["sum", "prod"]
    expression: Expression
    axis: int


@dataclass(frozen=True)
class Sort:
    """values and places of the `count` first elements along the last axis, in order; equal ones keep theirs."""

    values: View
    places: View
    source: View
    descending: bool


Statement = Store | Reduce | Contract | Scatter | Scan | Sort


def reads(statement: Statement) -> Iterator[View]:
    """Return the views that a statement reads."""
    match statement:
        case Store(target, expression, accumulate):
            yield from loads(expression)
            if accumulate:
                yield target
        case Reduce(expression=expression):
            yield from loads(expression)
        case Contract(left=left, right=right, start=start):
            yield left
            yield right
            if start is not None:
                yield from loads(start)
        case Scatter(target=target, index=index, expression=expression):
            yield target
            yield from loads(index)
            yield from loads(expression)
        case Scan(expression=expression):
            yield from loads(expression)
        case Sort(source=source):
            yield source


def writes(statement: Statement) -> tuple[View, ...]:
    """Return the views that a statement writes."""
    return (statement.values, statement.places) if isinstance(statement, Sort) else (statement.target,)


def viewed(statement: Statement, change: Callable[[View], View]) -> Statement:
    """Return a statement with each of its views replaced by what `change` makes of it."""

    def part(value: Any) -> Any:
        match value:
            case View():
                return change(value)
            case Load() | Pick() | Call():
                return replace(value, **{one.name: part(getattr(value, one.name)) for one in fields(value)})
            case tuple():
                return tuple(map(part, value))
        return value

    changed: Statement = replace(
        statement, **{one.name: part(getattr(statement, one.name)) for one in fields(statement)}
    )
    return changed
