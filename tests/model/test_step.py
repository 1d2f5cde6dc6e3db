"""The step: what it records, what trackers see, and that it is pure."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec, RandomSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.step import above, below, named
from tests.examples import PAPER, SMALL, drawn, small_machine
from tests.toys import UnwrittenSpec, WatchingSpec, WrittenSpec


def record(machine: Machine, inputs: Tensor) -> tuple[list[dict[str, Tensor]], Any]:
    """What each step recorded, and what the call returned."""
    records: list[dict[str, Tensor]] = [{} for _ in inputs]
    result = machine(inputs, record=[values.__setitem__ for values in records])
    return records, result


def tracked() -> Machine:
    return small_machine(
        memory=MatrixSpec(slots=SMALL.slots, width=SMALL.width, start=RandomSpec(), trackers=[WrittenSpec()]),
        heads=[
            ReadSpec(count=2, addressing=PAPER),
            WriteSpec(addressing=[*PAPER, UnwrittenSpec()]),
            WriteSpec(name="second", addressing=PAPER),
        ],
    )


@pytest.mark.eager
def test_recording_changes_nothing():
    """Outputs and state are bitwise those of a call without."""
    machine, inputs = tracked(), drawn(3, 2, 3)
    (outputs, state), (_, (others, other)) = machine(inputs), record(machine, inputs)
    assert torch.equal(outputs, others)
    assert all(torch.equal(state[path], other[path]) for path in state)


def test_everything_that_happens_is_recorded_by_path():
    """Fields, weightings after each stage, reads, changes, trackers and memory: the same paths at each step."""
    machine = tracked()
    records, _ = record(machine, drawn(3, 2, 3))
    stages = ["content", "interpolate", "shift", "sharpen"]
    fields = ["content.key", "content.strength", "interpolate.gate", "shift.shift", "sharpen.sharpness"]
    groups = ["read", "write", "second"]
    expected = {
        "controller.output",
        "memory.matrix",
        "memory.trackers.written.amount",
        "heads.read.reads",
        "heads.write.addressing.unwritten",
        *(f"memory.trackers.written.{group}.fade" for group in groups),
        *(f"heads.{group}.weighting" for group in groups),
        *(f"heads.{group}.addressing.{name}" for group in groups for name in [*stages, *fields]),
        *(f"heads.{group}.{name}" for group in groups[1:] for name in ("erase", "add", "change.keep", "change.add")),
    }
    assert [set(values) for values in records] == [expected] * 3


def test_groups_that_are_addressed_together_are_recorded_apart():
    """Each has its own heads under its own path."""
    heads = [ReadSpec(count=2, addressing=PAPER), WriteSpec(count=3, addressing=PAPER)]
    (values,), _ = record(small_machine(heads=heads), drawn(1, 2, 3))
    assert values["heads.read.addressing.content"].shape == (2, 2, SMALL.slots)
    assert values["heads.write.addressing.content"].shape == (2, 3, SMALL.slots)
    assert values["heads.write.addressing.content.key"].shape == (2, 3, SMALL.width)


def test_trackers_follow_the_memory_through_a_step():
    """Before the heads it fades, after each writing group it grows by that group's weighting."""
    machine = tracked()
    amount = torch.zeros(2, SMALL.slots, dtype=torch.float64)
    for values in record(machine, drawn(3, 2, 3))[0]:
        fades = [values[f"memory.trackers.written.{group}.fade"] for group in ("read", "write", "second")]
        amount = amount * torch.cat(fades, dim=1).mean(dim=1)
        unwritten = torch.softmax(-3 * amount[:, None] + values["heads.write.addressing.sharpen"], -1)
        torch.testing.assert_close(values["heads.write.weighting"], unwritten)
        amount = amount + values["heads.write.weighting"].sum(1) + values["heads.second.weighting"].sum(1)
        torch.testing.assert_close(values["memory.trackers.written.amount"], amount)


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
def test_the_order_of_groups(order: str):
    """In sequence a group sees what the one before wrote; at once, all see the memory as the step began."""
    heads = [WriteSpec(addressing=PAPER), ReadSpec(addressing=PAPER), WriteSpec(name="second", addressing=PAPER)]
    memory = MatrixSpec(slots=SMALL.slots, width=SMALL.width, start=RandomSpec())
    machine = small_machine(heads=heads, order=order, memory=memory)
    (values,), _ = record(machine, drawn(1, 2, 3))
    start = machine.initial_state(2)["memory.matrix"]
    keep, add = values["heads.write.change.keep"], values["heads.write.change.add"]
    between = keep * start + add
    seen = between if order == "sequential" else start
    torch.testing.assert_close(values["heads.read.reads"], values["heads.read.weighting"] @ seen)
    keep_too, add_too = values["heads.second.change.keep"], values["heads.second.change.add"]
    sequential = between * keep_too + add_too
    simultaneous = start * keep * keep_too + add + add_too
    torch.testing.assert_close(values["memory.matrix"], sequential if order == "sequential" else simultaneous)


@pytest.mark.eager
def test_what_a_stage_is_shown():
    """Every group's weighting of the step before, its own among them, the time, and the lengths."""
    heads = [
        ReadSpec(count=2, addressing=PAPER),
        WriteSpec(addressing=[*PAPER, WatchingSpec()]),
        ReadSpec(name="later", addressing=PAPER),
    ]
    machine, inputs, lengths = small_machine(heads=heads), drawn(3, 2, 3), torch.tensor([3, 2])
    views = machine.heads["write.addressing.watching"].views
    _, state = machine(inputs[:1])
    machine(inputs, state, lengths=lengths)
    before = [machine.initial_state(2), state, machine(inputs[:1], state)[1]]
    for view, expected in zip(views, before, strict=False):
        assert set(view.groups) == {"read", "write", "later"}
        for group, weighting in view.groups.items():
            torch.testing.assert_close(weighting, expected[f"heads.{group}.weighting"])
        torch.testing.assert_close(view.previous, expected["heads.write.weighting"])
    assert [view.time.tolist() for view in views[:4]] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert [view.lengths.tolist() for view in views[:2]] == [[1, 1], [3, 2]]
    assert views[0].trackers == {}


def test_the_step_changes_nothing_that_it_is_given():
    """It is a function: the state that goes in is what it was."""
    machine = tracked()
    state = machine.initial_state(2)
    before = state.clone()
    machine(drawn(1, 2, 3), state)
    assert all(torch.equal(state[path], before[path]) for path in state)


def test_paths_of_flat_tensors():
    """`below` takes a prefix off, `above` puts it on, `named` picks known names."""
    tensors = {"a.x": torch.zeros(1), "a.y.z": torch.ones(1), "ab.x": torch.ones(2)}
    assert set(below("a", tensors)) == {"x", "y.z"}
    assert set(above("b", below("a", tensors))) == {"b.x", "b.y.z"}
    assert named("a", ["x"], tensors) == {"x": tensors["a.x"]}
