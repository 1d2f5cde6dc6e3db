"""From the joint graph's operations to statements over buffers.

Views stay views. Pointwise operations stay expressions until somebody needs them stored: because several read them,
because they would be computed many times over by broadcasting, or because a view, a contraction or an output wants
them. What depends on nothing but constants is computed here and now.

A buffer is written by the statements that make it, which follow one another, and never again: so a view or an
expression of a value stays true for as long as anybody holds it, whoever else does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, fx

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.expressions import aligned, called, cheap_again, heavy, length
from ntm_toolkit.runtime.fused.geometry import axis_of, broadcast_shape
from ntm_toolkit.runtime.fused.ir import (
    Buffer,
    Call,
    Contract,
    Expression,
    Kind,
    Load,
    Number,
    Reduce,
    Shape,
    Statement,
    Store,
    View,
)
from ntm_toolkit.runtime.fused.origins import place_of
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError, no_lowering, random_inside

LONGEST = 24
"""Reads and calls of an expression above which it is stored: longer ones cost registers and time to compile."""

FOLDED = 1024
"""Numbers up to which a constant is always computed beforehand; larger ones only if they are not made of smaller."""


@dataclass(frozen=True)
class Stored:
    """A value that is in memory."""

    view: View

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.view.shape


@dataclass(frozen=True)
class Lazy:
    """A value that is computed where it is read. The expression's loads may be of a shape that broadcasts to it."""

    expression: Expression
    shape: Shape


@dataclass(frozen=True)
class Outer:
    """left (m) times right (n): the product of a column and a row, of which weight gradients are sums."""

    left: View
    right: View

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return (self.left.shape[0], self.right.shape[0])


@dataclass(frozen=True)
class Windows:
    """A sum of values that each fill a window of the shape and are zero elsewhere: what gradients of slices sum to.

    Attributes:
        shape: its shape.
        base: what else is added, of the whole shape; None where nothing is.
        parts: for each value the function from the whole's view to its window's.
    """

    shape: Shape
    base: Value | None
    parts: tuple[tuple[Callable[[View], View], Value], ...]


Value = Stored | Lazy | Outer | Windows
LoweringRule = Callable[..., Any]
R = TypeVar("R", bound=LoweringRule)


class Table(dict[Any, LoweringRule]):
    """How operations are lowered, by operation."""

    def lowers(self, *operations: Any) -> Callable[[R], R]:
        """Register a function as the lowering of operations."""

        def register(rule: R) -> R:
            self.update(dict.fromkeys(operations, rule))
            return rule

        return register


@dataclass
class Lowering:
    """The statements of a graph, and what each of its nodes has become.

    Attributes:
        table: how each operation is lowered.
        uses: how often each node is read; once where it is not said.
        real: the dtype of the step's numbers.
        statements: in order.
        buffers: all that were made.
        values: what nodes have become: a value, a constant tensor, or a plain Python object.
        node: the one that is being lowered.
    """

    table: Mapping[Any, LoweringRule]
    uses: Mapping[fx.Node, int] = field(default_factory=dict)
    real: torch.dtype = torch.float32
    statements: list[Statement] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    node: fx.Node | None = None
    _in_memory: dict[int, tuple[Any, Stored]] = field(default_factory=dict)
    _constants: dict[tuple[Any, ...], View] = field(default_factory=dict)

    def buffer(self, shape: Sequence[int], kind: Kind = "work", name: str = "", value: Tensor | None = None) -> Buffer:
        """Make a buffer."""
        origin = "" if self.node is None else place_of(self.node).part
        # The number keeps apart what paths that differ in their punctuation alone would share.
        made = Buffer(
            f"{name}_{len(self.buffers)}" if name else f"b{len(self.buffers)}", tuple(shape), kind, origin, value
        )
        self.buffers.append(made)
        return made

    def run(self, node: fx.Node) -> None:
        """Lower one operation.

        Raises:
            UnsupportedError: it cannot be; the message says whose it is.
        """
        self.node = node
        try:
            value = self._lowered(node)
            if self._is_single(node) and isinstance(value, Lazy | Stored):
                value = self.pointwise("single", value)
            self.values[node] = self._settled(value, self.uses.get(node, 1))
        except UnsupportedError as error:
            place = place_of(node)
            raise error.at(place.part, place.line) from None

    def _lowered(self, node: fx.Node) -> Any:
        target = cast(Any, node.target)
        arguments = fx.map_arg(node.args, lambda n: self.values[n])
        options = fx.map_arg(node.kwargs, lambda n: self.values[n])
        if self._is_single(node):
            arguments = tuple(_single(value) if isinstance(value, float) else value for value in arguments)
        if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
            raise random_inside(str(target))
        if _constant(arguments) and _constant(options):
            folded = target(*arguments, **options)
            if target not in self.table or not _grown(folded, arguments):
                return folded
        if target not in self.table:
            raise no_lowering(str(target))
        return self.table[target](self, *arguments, **options)

    def _is_single(self, node: fx.Node) -> bool:
        """Return whether eager rounds a node to float32 in a step of float64, as where whole numbers meet fractions."""
        return self.real == torch.float64 and dtype_of(node) == torch.float32

    def _settled(self, value: Any, uses: int) -> Any:
        if isinstance(value, Lazy) and not isinstance(value.expression, Load):
            many = length(value.expression)
            again = uses > 1 and many > 0 and not cheap_again(value.expression, value.shape, uses)
            return self.stored(value) if many > LONGEST or again else value
        return self.stored(value) if isinstance(value, Windows) and uses > 1 else value

    # What operations need to know of their node ------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the operation's result (of the first, where there are several)."""
        found = dtype_of(self.node)
        assert found is not None
        return found

    def argument(self, place: int) -> Any:
        """Return the operation's argument as the graph has it: a node, or a plain Python object."""
        assert self.node is not None
        return self.node.args[place]

    # What operations need of values -----------------------------------------------------------------------------

    def expression(self, value: Any) -> Expression:
        """Return the value as an expression."""
        match value:
            case Lazy(expression):
                return expression
            case Stored(view):
                return Load(view)
            case Outer(left, right):
                return Call("mul", (Load(geometry.unsqueeze(left, 1)), Load(geometry.unsqueeze(right, 0))))
            case Windows():
                return Load(self.view(value))
            case Tensor() if value.numel() and bool((value == value.flatten()[0]).all()):
                return Number(value.flatten()[0].item())
            case Tensor():
                return Load(self.constant(value))
            case bool() | int() | float():
                return Number(value)
        raise UnsupportedError(f"a value of type {type(value).__name__} takes part in a computation")

    def constant(self, value: Tensor) -> View:
        """Return the view of a constant."""
        key = (value.dtype, *value.shape, *value.flatten().tolist())
        if key not in self._constants:
            self._constants[key] = self.buffer(value.shape, "constant", value=value.detach().clone()).whole()
        return self._constants[key]

    def stored(self, value: Any) -> Stored:
        """Return the value in memory; the same place whenever it is asked for the same object."""
        if isinstance(value, Stored):
            return value
        if isinstance(value, Tensor):
            return Stored(self.constant(value))
        if isinstance(value, Lazy) and isinstance(value.expression, Load):
            return Stored(value.expression.view.broadcast(value.shape))
        if id(value) not in self._in_memory:
            made = self._put_in_windows(value) if isinstance(value, Windows) else self.copied(value)
            self._in_memory[id(value)] = (value, made)
        return self._in_memory[id(value)][1]

    def copied(self, value: Any) -> Stored:
        """Return the value in a buffer that is all its own, row-major."""
        expression = self.expression(value)
        whole = self.buffer(shape_of(value)).whole()
        self.statements.append(Store(whole, expression))
        return Stored(whole)

    def _put_in_windows(self, value: Windows) -> Stored:
        if value.base is not None:
            base = self.expression(value.base)
        expressions = [self.expression(inner) for _, inner in value.parts]
        whole = self.buffer(value.shape).whole()
        windows = [window(whole) for window, _ in value.parts]
        if value.base is not None:
            first, overlapping = [Store(whole, base)], list(zip(windows, expressions, strict=True))
        else:
            first, overlapping = _disjoint(whole, list(zip(windows, expressions, strict=True)))
        self.statements += first
        self.statements += [Store(window, expression, accumulate=True) for window, expression in overlapping]
        return Stored(whole)

    def view(self, value: Any) -> View:
        """Return the view of the value in memory."""
        return self.stored(value).view

    def pointwise(self, function: str, *arguments: Any) -> Lazy:
        """Return the function of the arguments, broadcast."""
        shape = broadcast_shape(*(shape_of(argument) for argument in arguments))
        expressions = []
        for argument in arguments:
            if isinstance(argument, Lazy) and argument.shape != shape and heavy(argument.expression):
                argument = self.stored(argument)
            expressions.append(aligned(self.expression(argument), len(shape_of(argument)), len(shape)))
        return Lazy(called(function, tuple(expressions)), shape)

    def reduce(self, kind: Any, value: Any, axes: Sequence[int] | None, keep: bool) -> Stored:
        """Return the reduction over axes; all of them where none are given."""
        shape = shape_of(value)
        over = axes_of(axes, len(shape))
        if all(shape[axis] == 1 for axis in over):
            reduced = self.view(value)
        else:
            expression = self.expression(value)
            reduced = self.buffer([1 if axis in over else size for axis, size in enumerate(shape)]).whole()
            self.statements.append(Reduce(reduced, kind, expression, shape, over))
        return Stored(reduced if keep else geometry.squeeze(reduced, over))

    def contract(self, left: Any, right: Any, start: Expression | None = None) -> Value:
        """Return left (.., m, k) times right (.., k, n)."""
        a, b = self.view(left), self.view(right)
        if a.shape[-1] == 1 and start is None:
            if len(a.shape) == 2:
                return Outer(geometry.squeeze(a, [1]), geometry.squeeze(b, [0]))
            return self.pointwise("mul", Stored(a), Stored(b))
        target = self.buffer((*broadcast_shape(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])).whole()
        self.statements.append(Contract(target, a, b, start))
        return Stored(target)

    def add(self, left: Any, right: Any) -> Value:
        """Return the sum; what fills a window is added in it alone."""
        if isinstance(left, Windows) and shape_of(right) == left.shape:
            if not isinstance(right, Windows):
                return Windows(left.shape, self._sum(left.base, right), left.parts)
            return Windows(left.shape, self._sum(left.base, right.base), (*left.parts, *right.parts))
        if isinstance(right, Windows) and shape_of(left) == right.shape:
            return self.add(right, left)
        return self.pointwise("add", left, right)

    def _sum(self, left: Any, right: Any) -> Any:
        if left is None or right is None:
            return right if left is None else left
        return self.pointwise("add", left, right)


def dtype_of(node: Any) -> torch.dtype | None:
    """Return the dtype of a node's result (of the first, where there are several); None of what is no node."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    if isinstance(value, list | tuple):
        value = value[0]
    return value.dtype if isinstance(value, Tensor) else None


def shape_of(value: Any) -> Shape:
    """Return the shape of a value, a constant or a number."""
    return tuple(value.shape) if hasattr(value, "shape") else ()


def axes_of(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Return axes counted from 0; all of them where none are given."""
    return tuple(axis_of(axis, rank) for axis in axes) if axes else tuple(range(rank))


def _single(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))


def _constant(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_constant(item) for item in value)
    if isinstance(value, dict):
        return all(_constant(item) for item in value.values())
    return not isinstance(value, Stored | Lazy | Outer | Windows)


def _grown(folded: Any, arguments: Sequence[Any]) -> bool:
    """Return whether a constant is large, of many numbers, and made of smaller tensors: better computed in place."""
    if not isinstance(folded, Tensor) or folded.numel() <= FOLDED:
        return False
    tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
    if not tensors or bool((folded == folded.flatten()[0]).all()):
        return False
    return folded.numel() > max(tensor.numel() for tensor in tensors)


def _disjoint(
    whole: View, windows: Sequence[tuple[View, Expression]]
) -> tuple[list[Store], list[tuple[View, Expression]]]:
    """Return the stores that fill a buffer, and what is then to be added where windows overlap."""
    taken = torch.zeros(prod(whole.shape), dtype=torch.bool)
    first, overlapping = [], []
    for window, expression in windows:
        places = geometry.places(window)
        if bool(taken[places].any()):
            overlapping.append((window, expression))
        else:
            taken[places] = True
            first.append(Store(window, expression))
    return ([] if bool(taken.all()) else [Store(whole, Number(0.0))]) + first, overlapping
