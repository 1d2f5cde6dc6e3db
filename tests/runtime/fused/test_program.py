"""The two programs of a step: what they read and write, what is on the tape, and which gradients leave the loop."""

from __future__ import annotations

import pytest

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.fused.ir import reads, writes
from ntm_toolkit.runtime.fused.program import Programs, programs
from tests.examples import small_machine
from tests.runtime.fused.test_trace import traced
from tests.runtime.fused.zoo import ZOO
from tests.runtime.fused.zoo_machines import MACHINES, machine_of

SOME = ["gain_vector", "extra_linear", "changes_its_copy", "maximum_and_place", "passes_state_on", "no-reads", "lstm"]


def compiled(name: str) -> Programs:
    spec = machine_of(name) if name in ZOO else MACHINES[name]()
    return programs(traced(Machine(spec, 3, 2).double()))


@pytest.mark.parametrize("name", SOME)
def test_programs_are_sound(name: str):
    """Buffers are written before they are read and not after, inputs not at all, and nothing is computed in vain."""
    step = compiled(name)
    for program in (step.forward, step.backward):
        given = {*program.shared.values(), *program.inputs.values()}
        written, read = set(given), set()
        wanted = {view.buffer for view in program.outputs.values()}
        for statement in program.statements:
            targets = {view.buffer for view in writes(statement)}
            sources = {view.buffer for view in reads(statement)}
            assert not targets & (read | given)
            assert all(buffer.kind == "constant" or buffer in written for buffer in sources - targets)
            written |= targets
            read |= sources - targets
        assert all(buffer in read | wanted for buffer in written)
        names = [buffer.name for buffer in written]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() for name in names)


@pytest.mark.parametrize("name", SOME)
def test_what_is_taped_is_read(name: str):
    """The forward program's tape is what the backward program reads, no more."""
    step = compiled(name)
    there = {role for role in step.forward.outputs if role.startswith("tape.")}
    back = {role for role in step.backward.inputs if role.startswith("tape.")}
    assert there == back == {f"tape.{n}" for n in range(len(step.tape))}


def test_weight_gradients_leave_the_loop():
    """The gradients of weights are products of rows after the loop; biases are added up in it."""
    step = programs(traced(small_machine()))
    assert {h.parameter for h in step.hoisted} == {
        "packed.controller.weight0",
        "packed.interface.weight",
        "own.controller.layers.0.weights.input.weight",
        "own.output.weights.controller.weight",
        "own.output.weights.reads.read.weight",
    }
    sums = {role for role in step.backward.outputs if role.startswith("sum.")}
    assert sums == {"sum.packed.interface.bias", "sum.own.controller.layers.0.bias", "sum.own.output.bias"}


def test_products_with_weights_are_taped():
    """They are not computed a second time in the backward pass."""
    step = programs(traced(small_machine()))
    assert step.tape == ((1, 20), (1, 28))


def test_a_state_that_passes_through_is_an_input():
    """What a step leaves as it is costs no statement."""
    step = compiled("passes_state_on")
    role = "state.heads.passes_state_on.addressing.passes_state_on.same"
    assert step.forward.outputs[role].buffer is step.forward.inputs[role]
