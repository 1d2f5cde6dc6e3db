"""Defects that were found in other public implementations of the machine, each a test that ours does not have it.

They are numbered in the order in which they were found; those of tasks and losses are tested with the tasks.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import LearnedSpec, LearnedWeightingSpec, MatrixSpec, RandomSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import State, activate
from tests.examples import PAPER, SMALL, drawn, small_machine
from tests.toys import OwningSpec

LEARNED = LearnedWeightingSpec()


class Recorded:
    """Keeps what each part produced in one step, by path."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def __call__(self, path: str, value: Tensor) -> None:
        self.values[path] = value


def recorded(machine: Machine, inputs: Tensor, state: State | None = None) -> list[dict[str, Tensor]]:
    """What each part produced at each step."""
    records = [Recorded() for _ in inputs]
    machine(inputs, state, record=records)
    return [record.values for record in records]


def four_heads(addressing: Any) -> list[Any]:
    return [
        ReadSpec(name="first", count=2, addressing=addressing, initial_weighting=LEARNED),
        ReadSpec(name="second", addressing=addressing, initial_weighting=LEARNED),
        WriteSpec(name="third", addressing=addressing, initial_weighting=LEARNED),
    ]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("group", "head"), [("first", 0), ("first", 1), ("second", 0), ("third", 0)])
def test_defect_3_heads_that_share_or_swap_their_previous_weighting(group: str, head: int, apart: bool):
    """Another previous weighting of one head changes that head's next weighting and no other's."""
    addressing = [*PAPER, OwningSpec()] if apart else PAPER
    machine, inputs = small_machine(heads=four_heads(addressing)), drawn(1, 1, 3)
    state = machine.initial_state(1)
    path = f"heads.{group}.weighting"
    other = state[path].detach().clone()
    other[:, head] = other[:, head].flip(-1)
    _, before = machine(inputs, state)
    _, after = machine(inputs, State({**state, path: other}))
    for name in ("first", "second", "third"):
        changed = (before[f"heads.{name}.weighting"] != after[f"heads.{name}.weighting"]).any(-1)[0].tolist()
        expected = [name == group and place == head for place in range(len(changed))]
        assert changed == expected, name


def test_defect_3_the_previous_weighting_is_the_one_of_the_step_before():
    """With the gate closed, a head's weighting is its own of the step before, at every step."""
    machine = small_machine(heads=four_heads([ContentSpec(), InterpolateSpec()]))
    with torch.no_grad():
        for name, parameter in machine.named_parameters():
            if "interpolate.gate" in name:
                parameter.zero_()
                if name.endswith("bias"):
                    parameter.fill_(-1000)
    start = machine.initial_state(2)
    for values in recorded(machine, drawn(3, 2, 3)):
        for group in ("first", "second", "third"):
            torch.testing.assert_close(values[f"heads.{group}.weighting"], start[f"heads.{group}.weighting"])


def test_defect_4_gates_can_open_and_strength_can_grow():
    """No tanh stands before sigmoid and softplus: with large raw numbers gates are 0 or 1 and strength is large."""
    machine = small_machine()
    with torch.no_grad():
        for name, parameter in machine.named_parameters():
            if name.startswith("interface.fields") and name.endswith("bias"):
                parameter.fill_(30.0)
    (values,) = recorded(machine, drawn(1, 1, 3))
    for group in ("read", "write"):
        path = f"heads.{group}.addressing"
        assert float(values[f"{path}.interpolate.gate"].detach()) > 1 - 1e-9
        assert float(values[f"{path}.content.strength"].detach()) > 20
        assert float(values[f"{path}.sharpen.sharpness"].detach()) > 20
    assert float(values["heads.write.erase"].detach().min()) > 1 - 1e-9
    for activation in ("sigmoid", "softplus", "one-plus-softplus"):
        raw = torch.tensor([8.0], dtype=torch.float64)
        assert float(activate(raw, activation)) >= float(torch.sigmoid(raw))


def test_defect_5_the_weighting_that_is_used_is_the_sharpened_one():
    """Reads, writes and the next step's weighting are all made with the last stage's weighting."""
    machine = small_machine(heads=[ReadSpec(addressing=PAPER), WriteSpec(addressing=PAPER)])
    machine.memory.start.value.copy_(drawn(SMALL.slots, SMALL.width))
    inputs = drawn(2, 1, 3)
    state, (first, second) = machine.initial_state(1), recorded(machine, inputs)
    memory = state["memory.matrix"]
    for values in (first, second):
        sharpened = values["heads.read.addressing.sharpen"]
        assert not torch.allclose(sharpened, values["heads.read.addressing.shift"])
        assert torch.equal(values["heads.read.weighting"], sharpened)
        torch.testing.assert_close(values["heads.read.reads"], sharpened @ memory)
        written = values["heads.write.addressing.sharpen"]
        torch.testing.assert_close(values["heads.write.change.add"], written.mT @ values["heads.write.add"])
        memory = values["memory.matrix"]
    _, after = machine(inputs[:1])
    torch.testing.assert_close(after["heads.read.weighting"], first["heads.read.addressing.sharpen"])


def test_defect_6_reads_reach_the_next_step():
    """Other read vectors of the step before change what the controller makes, and gradients flow through them."""
    machine, inputs = small_machine(), drawn(1, 1, 3)
    state = machine.initial_state(1)
    reads = drawn(1, 1, SMALL.width).requires_grad_()
    _, before = machine(inputs, state)
    _, after = machine(inputs, State({**state, "heads.read.reads": reads}))
    assert not torch.allclose(before["controller.h0"], after["controller.h0"])
    (gradient,) = torch.autograd.grad(after["controller.h0"].sum(), reads)
    assert bool(gradient.all())


def test_defect_6_reads_of_the_memory_reach_the_next_step():
    """What was in the memory at step 1 changes the controller at step 2."""
    machine = small_machine(memory=MatrixSpec(slots=6, width=4, start=RandomSpec()))
    start = machine.memory.start.value.clone().requires_grad_()
    state = State({**machine.initial_state(1), "memory.matrix": start[None]})
    _, first = machine(drawn(1, 1, 3), state)
    _, second = machine(drawn(1, 1, 3), first)
    (unused,) = torch.autograd.grad(first["controller.h0"].sum(), start, allow_unused=True, retain_graph=True)
    assert unused is None or not bool(unused.any())
    (gradient,) = torch.autograd.grad(second["controller.h0"].sum(), start)
    assert bool(gradient.any())


@pytest.mark.parametrize("start", [LearnedSpec(), RandomSpec()])
def test_defect_7_initial_reads_are_saved_and_moved(start: Any):
    """They are a parameter or a buffer: in the state_dict, and converted with the model."""
    heads = [ReadSpec(addressing=PAPER, start=start), WriteSpec(addressing=PAPER)]
    machine = small_machine(heads=heads)
    assert "heads.read.start.value" in machine.state_dict()
    assert machine.state_dict()["heads.read.start.value"].dtype == torch.float64
    assert machine.to("meta").initial_state(2)["heads.read.reads"].device.type == "meta"


@pytest.mark.parametrize("start", [RandomSpec(), LearnedSpec()])
def test_defect_8_the_memorys_start_is_saved_with_the_model(start: Any):
    """A machine of another seed that loads the state_dict starts with the same memory."""
    memory = MatrixSpec(slots=6, width=4, start=start)
    machine, other = small_machine(memory=memory), small_machine(seed=1, memory=memory)
    assert not torch.equal(machine.initial_state(1)["memory.matrix"], other.initial_state(1)["memory.matrix"])
    other.load_state_dict(machine.state_dict())
    assert torch.equal(machine.initial_state(1)["memory.matrix"], other.initial_state(1)["memory.matrix"])


def test_defect_9_no_softmax_is_over_the_batch():
    """At a batch of several, every distribution sums to 1 over its own elements, and is what it is at batch 1."""
    machine, inputs = small_machine(), drawn(1, 4, 3)
    (together,) = recorded(machine, inputs)
    for group in ("read", "write"):
        for name in ("content", "shift.shift", "sharpen"):
            path = f"heads.{group}.addressing.{name}"
            sums = together[path].sum(-1)
            torch.testing.assert_close(sums, torch.ones_like(sums))
    for sequence in range(4):
        (alone,) = recorded(machine, inputs[:, sequence, None])
        for path, value in alone.items():
            torch.testing.assert_close(together[path][sequence, None], value, msg=lambda m, path=path: f"{path}: {m}")


@pytest.mark.parametrize(("offset", "slot"), [(1, 0), (-1, SMALL.slots - 1)])
def test_defect_10_the_shift_is_circular(offset: int, slot: int):
    """In a machine whose field always asks for one offset, a focus at one end comes back at the other."""
    spec = ShiftSpec()
    machine = small_machine(heads=[ReadSpec(addressing=[spec, SharpenSpec()]), WriteSpec(addressing=PAPER)])
    field = machine.interface.fields["heads.read.addressing.shift.shift"]
    with torch.no_grad():
        field.weight.zero_()
        field.bias.fill_(-100)[0, spec.offset_list().index(offset)] = 100
    visited, state = [], None
    for _ in range(SMALL.slots):
        _, state = machine(drawn(1, 1, 3), state)
        visited.append(int(state["heads.read.weighting"].argmax()))
        assert float(state["heads.read.weighting"].detach().max()) > 0.999
    assert visited == [(offset * step) % SMALL.slots for step in range(1, SMALL.slots + 1)]
    assert slot in visited
