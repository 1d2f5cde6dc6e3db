"""In which order the axes of buffers lie in memory.

For tiles of one sample, the longest axis is innermost, as loops over that axis are what vectors do.

A memory of 128 slots of width 20 becomes 20 rows of 128 numbers. Every view of a buffer is written anew; a buffer of
which some view cannot be (the flattened memory, say, or a diagonal) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.ir import Buffer, Reduce, Shape, Store, View, reads, viewed, writes
from ntm_toolkit.runtime.fused.program import Program, Programs

Order = tuple[int, ...]
"""The axes of a tensor in the order in which they lie in memory, the innermost last."""


@dataclass(frozen=True)
class Arranged:
    """Programs whose buffers lie in another order.

    Attributes:
        step: the programs; the views of state and its gradient that are their outputs are permuted too.
        orders: for each tensor of the state that lies in another order than torch's, which.
    """

    step: Programs
    orders: Mapping[str, Order]


def arranged(step: Programs) -> Arranged:
    """Return the programs with the longest axis of every buffer innermost, where that can be."""
    both = (step.forward, step.backward)
    fixed = {buffer for program in both for buffer in _unarrangeable(program)}
    orders = {
        path: order
        for path in step.joint.state
        if (order := order_of(step.forward.outputs[f"state.{path}"].shape)) is not None
        and not any(
            program.inputs.get(role) in fixed
            for program in both
            for role in (f"state.{path}", f"gradient.state.{path}")
        )
    }
    longest = {buffer: order_of(buffer.shape) for program in both for buffer in _buffers(program)}
    forward, backward = (_rewritten(program, fixed, orders, longest) for program in both)
    return Arranged(replace(step, forward=forward, backward=backward), orders)


def as_read(step: Programs) -> Programs:
    """Return the programs with the axes of buffers in the order in which all loops that read them go over them.

    Where a loop goes over the rows of what lies in columns, its steps may be such that all it reads competes for the
    same few places of the nearest cache.
    """
    forward, backward = (
        _rewritten(program, set(), {}, _orders_of_readers(program)) for program in (step.forward, step.backward)
    )
    return replace(step, forward=forward, backward=backward)


def _orders_of_readers(program: Program) -> dict[Buffer, Order | None]:
    found: dict[Buffer, set[Order | None]] = {}
    for statement in program.statements:
        for view in reads(statement) if isinstance(statement, Store | Reduce) else ():
            if view.buffer.kind == "work" and sum(size > 1 for size in view.buffer.shape) > 1:
                found.setdefault(view.buffer, set()).add(_order_of_reading(view))
    agreed = {buffer: orders.pop() for buffer, orders in found.items() if len(orders) == 1}
    for view in _views(program):
        order = agreed.get(view.buffer)
        if order is not None and moved_view(view, view.buffer, order) is None:
            del agreed[view.buffer]
    return agreed


def _order_of_reading(view: View) -> Order | None:
    """Return the axes of a view's buffer as the view has them, None if that is how they lie or some are left out."""
    steps = view.buffer.whole().strides
    axes = tuple(
        next((axis for axis, step in enumerate(steps) if step == stride and view.buffer.shape[axis] > 1), -1)
        for size, stride in zip(view.shape, view.strides, strict=True)
        if size > 1 and stride
    )
    rest = tuple(axis for axis in range(len(steps)) if axis not in axes)
    if -1 in axes or any(view.buffer.shape[axis] > 1 for axis in rest) or axes == tuple(sorted(axes)):
        return None
    return (*rest, *axes)


def order_of(shape: Shape) -> Order | None:
    """Return the axes with the longest last, or None where it is there."""
    if not shape or 0 in shape or max(shape) == shape[-1]:
        return None
    longest = max(range(len(shape)), key=lambda axis: shape[axis])
    return (*(axis for axis in range(len(shape)) if axis != longest), longest)


def _views(program: Program) -> Iterable[View]:
    for statement in program.statements:
        yield from reads(statement)
        yield from writes(statement)
    yield from program.outputs.values()


def _unarrangeable(program: Program) -> set[Buffer]:
    return {
        view.buffer
        for view in _views(program)
        if (order := order_of(view.buffer.shape)) is not None and moved_view(view, view.buffer, order) is None
    }


def moved_view(view: View, onto: Buffer, order: Order) -> View | None:
    """Return the view of the same numbers of a buffer that has its axes in another order; None if there is none.

    Args:
        view: of the buffer as it is.
        onto: the buffer that takes its place; of the permuted shape.
        order: of the axes.
    """
    shape = view.buffer.shape
    before = view.buffer.whole().strides
    inner = 1
    after = [0] * len(shape)
    for axis in reversed(order):
        after[axis] = inner
        inner *= shape[axis]
    place, rest = [], view.offset
    for step in before:
        place.append(rest // step)
        rest %= step
    low, high = list(place), list(place)
    strides = []
    for size, stride in zip(view.shape, view.strides, strict=True):
        if size <= 1 or stride == 0:
            strides.append(0)
            continue
        # The outermost axis that the stride counts whole steps of.
        axis = next(axis for axis, step in enumerate(before) if stride % step == 0 and shape[axis] > 1)
        count = stride // before[axis]
        if count > 0:
            high[axis] += count * (size - 1)
        else:
            low[axis] += count * (size - 1)
        strides.append(count * after[axis])
    if any(not 0 <= first <= last < size for first, last, size in zip(low, high, shape, strict=True)):
        return None
    return View(onto, view.shape, tuple(strides), sum(at * step for at, step in zip(place, after, strict=True)))


def _buffers(program: Program) -> set[Buffer]:
    return {view.buffer for view in _views(program)}


def _rewritten(
    program: Program, fixed: set[Buffer], orders: Mapping[str, Order], wanted: Mapping[Buffer, Order | None]
) -> Program:
    # Of what the world gives or takes, only the state and its gradient may lie in another order.
    tied: dict[Buffer, Order | None] = {view.buffer: None for role, view in program.outputs.items() if not _path(role)}
    tied |= {buffer: orders.get(_path(role)) for role, buffer in program.inputs.items()}
    new: dict[Buffer, tuple[Buffer, Order] | None] = {}

    def moved(view: View) -> View:
        buffer = view.buffer
        if buffer not in new:
            order = tied[buffer] if buffer in tied else wanted.get(buffer)
            movable = order is not None and buffer not in fixed and not buffer.shared
            new[buffer] = (replace(buffer, shape=_taken(buffer.shape, order)), order) if movable and order else None
        found = new[buffer]
        if found is None:
            return view
        there = moved_view(view, *found)
        assert there is not None
        return there

    outputs = {}
    statements = tuple(viewed(statement, moved) for statement in program.statements)
    for role, view in program.outputs.items():
        order = orders.get(_path(role))
        outputs[role] = geometry.permute(moved(view), order) if order else moved(view)
    inputs = {role: moved(buffer.whole()).buffer for role, buffer in program.inputs.items()}
    return replace(program, statements=statements, inputs=inputs, outputs=outputs)


def _path(role: str) -> str:
    """Return the path of the state's tensor that a role is about, "" if it is about something else."""
    for kind in ("state.", "gradient.state."):
        if role.startswith(kind):
            return role.removeprefix(kind)
    return ""


def _taken(shape: Shape, order: Sequence[int]) -> Shape:
    return tuple(shape[axis] for axis in order)
