"""Buffers in another order hold the same numbers, and every view of them sees what it saw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.arrange import arranged, as_read, moved_view, order_of
from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.ir import Buffer, Load, Number, Store, View
from ntm_toolkit.runtime.fused.program import Program, Programs, programs
from tests.runtime.fused.test_geometry import moves
from tests.runtime.fused.test_trace import traced
from tests.runtime.fused.zoo import ZOO
from tests.runtime.fused.zoo_machines import MACHINES, machine_of


@st.composite
def views(draw: Any) -> View:
    """A view of views of a buffer."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=4)))
    tensor, view = torch.empty(shape), Buffer("b", shape).whole()
    for _ in range(draw(st.integers(0, 4))):
        on_tensors, on_views = draw(moves(tensor.shape))
        tensor, view = on_tensors(tensor), on_views(view)
    return view


@given(views())
def test_a_moved_view_sees_the_same_numbers(view: View):
    """Where a view can be had in another order, it has the same shape and sees the same numbers."""
    order = order_of(view.buffer.shape)
    assume(order is not None)
    assert order is not None
    numbers = torch.arange(view.buffer.size).view(view.buffer.shape)
    turned = numbers.permute(order)
    found = moved_view(view, Buffer("c", tuple(turned.shape)), order)
    if found is not None:
        assert found.shape == view.shape
        assert turned.reshape(-1)[geometry.places(found)].equal(numbers.reshape(-1)[geometry.places(view)])


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4))
def test_the_longest_axis_is_innermost(shape: list[int]):
    """A whole buffer can always be had in another order, in which its longest axis has steps of one number."""
    order = order_of(tuple(shape))
    if order is None:
        assert shape[-1] == max(shape)
        return
    whole = Buffer("b", tuple(shape)).whole()
    found = moved_view(whole, Buffer("c", tuple(shape[axis] for axis in order)), order)
    assert found is not None
    assert found.strides[order[-1]] == 1
    assert shape[order[-1]] == max(shape)


@pytest.mark.parametrize("name", [*ZOO, *MACHINES])
def test_arranged_programs_compute_the_same(name: str):
    """Forward and backward programs give the same numbers in the other order, in which state is permuted."""
    spec = machine_of(name) if name in ZOO else MACHINES[name]()
    step = programs(traced(Machine(spec, 3, 2).double()))
    there = arranged(step)
    for before, after in ((step.forward, there.step.forward), (step.backward, there.step.backward)):
        generator = torch.Generator().manual_seed(0)
        given = {role: torch.rand(buffer.size, generator=generator).double() for role, buffer in before.inputs.items()}
        shared = {name: torch.rand(b.size, generator=generator).double() for name, b in before.shared.items()}
        plain, turned = _outputs(before, given, shared, {}), _outputs(after, given, shared, there.orders)
        assert plain.keys() == turned.keys()
        for role in plain:
            assert torch.allclose(plain[role], turned[role], rtol=1e-12, atol=1e-12, equal_nan=True), role


@pytest.mark.parametrize("name", MACHINES)
def test_programs_arranged_as_they_are_read_compute_the_same(name: str):
    """Forward and backward programs give the same numbers, and no buffer is read in columns by all that read it."""
    step = programs(traced(Machine(MACHINES[name](), 3, 2).double()))
    there = as_read(step)
    for before, after in ((step.forward, there.forward), (step.backward, there.backward)):
        generator = torch.Generator().manual_seed(0)
        given = {role: torch.rand(buffer.size, generator=generator).double() for role, buffer in before.inputs.items()}
        shared = {name: torch.rand(b.size, generator=generator).double() for name, b in before.shared.items()}
        plain, turned = _outputs(before, given, shared, {}), _outputs(after, given, shared, {})
        for role in plain:
            assert torch.allclose(plain[role], turned[role], rtol=1e-12, atol=1e-12, equal_nan=True), role


def test_what_is_read_in_columns_lies_in_columns():
    """A buffer whose only reader goes over its second axis first has that one outermost."""
    made, result = Buffer("m", (1, 20, 128)), Buffer("r", (1, 128, 20))
    written = Store(made.whole(), Number(1.0))
    read = Store(result.whole(), Load(geometry.permute(made.whole(), (0, 2, 1))))
    program = Program((written, read), {}, {}, {"feature.0": result.whole()})
    joint: Any = None
    step = as_read(Programs(program, program, (), (), joint))
    write, reading = step.forward.statements
    assert isinstance(write, Store)
    assert isinstance(reading, Store)
    assert write.target.shape == (1, 20, 128)
    assert write.target.strides[1:] == (1, 20)
    assert isinstance(reading.expression, Load)
    assert reading.expression.view.strides[1:] == (20, 1)


def _outputs(program: Program, given: Any, shared: Any, orders: Any) -> dict[str, torch.Tensor]:
    """Return a program's outputs in torch's order, for one sample."""
    inputs = {}
    for role, buffer in program.inputs.items():
        order, numbers = _order(role, orders), given[role]
        if order is not None:
            numbers = numbers.view([buffer.shape[order.index(axis)] for axis in range(len(order))]).permute(order)
        inputs[role] = numbers.reshape(1, -1)
    outputs = {}
    for role, value in interpret(program, shared, inputs or {"none": torch.zeros(1, 1).double()}).items():
        order = _order(role, orders)
        outputs[role] = value[0] if order is None else value[0].permute([order.index(n) for n in range(len(order))])
    return outputs


def _order(role: str, orders: Any) -> Any:
    return orders.get(role.removeprefix("gradient.").removeprefix("state.")) if "state." in role else None
