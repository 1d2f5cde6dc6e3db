"""What a step was compiled to, in words: its statements by part, what is taped and hoisted, and what it costs.

A statement that calls several functions is several operations of the step made one loop. Counts are for one sample and
one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log2, prod

from ntm_toolkit.runtime.fused.ir import (
    Call,
    Contract,
    Expression,
    Load,
    Number,
    Pick,
    Reduce,
    Scan,
    Scatter,
    Sort,
    Statement,
    Store,
    View,
    reads,
    row_major,
    writes,
)
from ntm_toolkit.runtime.fused.program import Program, Programs, Prologue

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_SIGNS |= {"eq": "==", "ne": "!=", "and": "&", "or": "|"}


@dataclass(frozen=True)
class Computer:
    """What a computer can do in a second, for an estimate.

    Attributes:
        flops: arithmetic of one thread; a function such as exp counts as one.
        bytes: what one thread reads and writes where the workspace lies, its second-level cache.
    """

    flops: float = 50e9
    bytes: float = 50e9


@dataclass(frozen=True)
class Cost:
    """What a program costs for one sample and one step.

    Attributes:
        flops: additions, multiplications and calls of functions.
        numbers: numbers that are read and written, were none kept in a register from one statement to the next.
        weights: numbers of parameters that are read; a tile of samples reads them together.
    """

    flops: int
    numbers: int
    weights: int


def explain(step: Programs, *, number: int = 4, computer: Computer | None = None) -> str:
    """Return what a step was compiled to, for people to read.

    Args:
        step: both programs.
        number: bytes of a number.
        computer: what the computer can do; a guess unless given.
    """
    computer = computer or Computer()
    costs = [cost_of(program) for program in (step.forward, step.backward)]
    sizes = _hoisted_sizes(step)
    after = 2 * sum(prod(shape) for shape in sizes.values())
    flops, numbers = sum(c.flops for c in costs) + after, sum(c.numbers for c in costs)
    state = sum(prod(step.forward.outputs[f"state.{path}"].shape) for path in step.joint.state)
    results = step.backward.outputs
    arithmetic, memory = flops / computer.flops, numbers * number / computer.bytes
    lines = [
        "For one sample and one step:",
        f"  forward   {_cost_line(costs[0], number)}",
        f"  backward  {_cost_line(costs[1], number)}",
        f"  after the loop, {len(sizes)} gradients of weights: {after:,} flop",
        f"  kept for each step: a state of {state:,} numbers and a tape of {sum(map(prod, step.tape)):,}",
        f"  limit {max(arithmetic, memory) * 1e6:.2f} us of one thread: {arithmetic * 1e6:.2f} of arithmetic, "
        f"{memory * 1e6:.2f} of memory (at {computer.flops / 1e9:g} GFLOP/s and {computer.bytes / 1e9:g} GB/s)",
        "",
        *_program_lines("Forward", step.forward),
        "",
        *_program_lines("Backward", step.backward),
        "",
        *_prologue_lines(step.prologue),
        "On the tape:",
        *(f"  tape.{n} {_shape(shape)}" for n, shape in enumerate(step.tape)),
        "Gradients that leave the loop, as products of rows over all steps and samples:",
        *(f"  {h.parameter} {_shape(sizes[h.parameter])} = row.{h.left}^T row.{h.right}" for h in step.hoisted),
        "Gradients that are added up in the loop:",
        *(f"  {role[4:]} {_shape(view.shape)}" for role, view in results.items() if role.startswith("sum.")),
    ]
    return "\n".join(lines)


def _prologue_lines(prologue: Prologue | None) -> Iterator[str]:
    if prologue is not None:
        yield from _program_lines("Once for all samples, before the steps", prologue.forward)
        yield ""
        yield from _program_lines("Once for all samples, after the steps backward", prologue.backward)
        yield ""


def cost_of(program: Program) -> Cost:
    """Return what a program costs."""
    views = [view for statement in program.statements for view in (*reads(statement), *writes(statement))]
    return Cost(
        flops=sum(_flops(statement) for statement in program.statements),
        numbers=sum(_touched(view) for view in views if not view.buffer.shared),
        weights=sum(buffer.size for buffer in program.shared.values()),
    )


def _hoisted_sizes(step: Programs) -> dict[str, tuple[int, int]]:
    rows = step.backward.outputs
    return {h.parameter: (prod(rows[f"row.{h.left}"].shape), prod(rows[f"row.{h.right}"].shape)) for h in step.hoisted}


def _touched(view: View) -> int:
    return prod(size for size, stride in zip(view.shape, view.strides, strict=True) if stride)


def _flops(statement: Statement) -> int:
    match statement:
        case Store(target, expression, accumulate):
            return prod(target.shape) * (_calls(expression) + accumulate)
        case Reduce(expression=expression, shape=shape):
            return prod(shape) * (_calls(expression) + 1)
        case Contract(target, left, _, start):
            return prod(target.shape) * (2 * left.shape[-1] + (0 if start is None else _calls(start)))
        case Scatter(index=index, expression=expression, shape=shape, accumulate=accumulate):
            return prod(shape) * (_calls(index) + _calls(expression) + accumulate)
        case Scan(target, _, expression, _):
            return prod(target.shape) * (_calls(expression) + 1)
        case Sort(source=source):
            return round(prod(source.shape) * max(log2(max(source.shape[-1], 1)), 1))


def _calls(expression: Expression) -> int:
    match expression:
        case Call(_, arguments):
            return 1 + sum(_calls(argument) for argument in arguments)
        case Pick(_, _, index):
            return _calls(index)
    return 0


def _cost_line(cost: Cost, number: int) -> str:
    own, shared = cost.numbers * number, cost.weights * number
    return f"{cost.flops:>9,} flop, {own:>9,} bytes, and {shared:,} bytes of weights a tile"


def _program_lines(title: str, program: Program) -> Iterator[str]:
    operations = sum(_operations(statement) for statement in program.statements)
    yield f"{title}: {operations} operations in {len(program.statements)} loops"
    for origin, statements in groupby(program.statements, lambda statement: writes(statement)[0].buffer.origin):
        yield f"  {origin or 'the step itself'}"
        for statement in statements:
            yield f"    {described(statement)}"
    yield "  results"
    for role, view in program.outputs.items():
        yield f"    {role} = {_view(view)}"


def _operations(statement: Statement) -> int:
    match statement:
        case Store(_, expression, accumulate):
            return max(_calls(expression) + accumulate, 1)
        case Reduce(expression=expression) | Scan(expression=expression) | Scatter(expression=expression):
            return 1 + _calls(expression)
    return 1


def described(statement: Statement) -> str:
    """Return a statement as a line of pseudocode."""
    match statement:
        case Store(target, expression, accumulate):
            return f"{_view(target)} {'+=' if accumulate else '='} {_expression(expression)}"
        case Reduce(target, kind, expression, shape, axes):
            return f"{_view(target)} = {kind} over {list(axes)} of {_shape(shape)}: {_expression(expression)}"
        case Contract(target, left, right, start):
            plus = "" if start is None else f" + {_expression(start)}"
            return f"{_view(target)} = {_view(left)} @ {_view(right)}{plus}"
        case Scatter(target, axis, index, expression, shape, accumulate):
            sign = "+=" if accumulate else "="
            at = f"{_view(target)} at [{_expression(index)}] along {axis}"
            return f"{at} {sign} {_expression(expression)} for {_shape(shape)}"
        case Scan(target, kind, expression, axis):
            return f"{_view(target)} = cumulative {kind} along {axis}: {_expression(expression)}"
        case Sort(values, places, source, descending):
            way = "descending" if descending else "ascending"
            return f"{_view(values)}, {_view(places)} = sorted, {way}: {_view(source)}"


def _expression(expression: Expression) -> str:
    match expression:
        case Number(value):
            return f"{value:g}" if not isinstance(value, bool) else str(value)
        case Load(view):
            return _view(view)
        case Pick(view, axis, index):
            return f"{_view(view)}[{_expression(index)} along {axis}]"
        case Call(function, (left, right)) if function in _SIGNS:
            return f"({_expression(left)} {_SIGNS[function]} {_expression(right)})"
        case Call(function, arguments):
            return f"{function}({', '.join(_expression(argument) for argument in arguments)})"


def _view(view: View) -> str:
    if view == view.buffer.whole():
        return f"{view.buffer.name} {_shape(view.shape)}"
    dense = all(size == 1 or a == b for size, a, b in zip(view.shape, view.strides, row_major(view.shape), strict=True))
    steps = "" if dense else " by " + ",".join(str(stride) for stride in view.strides)
    start = f" from {view.offset}" if view.offset else ""
    return f"{view.buffer.name} {_shape(view.shape)}{start}{steps}"


def _shape(shape: Sequence[int]) -> str:
    return "(" + "x".join(str(size) for size in shape) + ")"
