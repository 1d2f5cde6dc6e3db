"""Two memories of another shape, from a plugin file: nothing but the matrix itself assumes the matrix."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit import plugins
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.spec.parts import looking_up
from tests.examples import drawn
from tests.toys import LaggingSpec, WrittenSpec

SIZES = {"slots": 4, "width": 3}
CONTENT = ["content", "sharpen"]
MODELS: dict[str, dict[str, Any]] = {
    "tape": {
        "memory": {"kind": "rolling-tape", **SIZES},
        "controller": {"kind": "lstm", "size": 5},
        "heads": [{"kind": "tape-head", "addressing": []}],
    },
    "log": {
        "memory": {"kind": "append-only", **SIZES},
        "controller": {"kind": "gru", "size": 5},
        "heads": [{"kind": "read", "count": 2, "addressing": CONTENT}, {"kind": "append", "addressing": []}],
    },
}
both = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    registry = plugins.load(files=[Path(__file__).with_name("other_memories.py")], entry_points=False)
    assert [(provider.label, provider.broken) for provider in registry.broken] == []
    with looking_up(registry):
        yield


def built(name: str, **changes: Any) -> Machine:
    return Machine(NTMSpec.model_validate({**MODELS[name], **changes}), 3, 2).double()


@both
def test_they_run_with_gradients(name: str):
    """Every parameter is trained, and every tensor of the state is where it should be."""
    machine = built(name)
    outputs, state = machine(drawn(5, 2, 3))
    outputs.square().sum().backward()
    for path, parameter in machine.named_parameters():
        assert parameter.grad is not None, path
        assert bool(parameter.grad.any()), path
    expected = {"tape": {"memory.cells"}, "log": {"memory.pointer", "memory.entries"}}[name]
    assert {path for path in state if path.startswith("memory.")} == expected


@both
def test_they_carry_their_state_and_keep_to_lengths(name: str):
    """Chunks are one sequence, and a sequence rests after its end."""
    machine, inputs = built(name), drawn(5, 3, 3)
    whole, state = machine(inputs)
    first, between = machine(inputs[:2])
    second, after = machine(inputs[2:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    _, ragged = machine(inputs, lengths=torch.tensor([5, 2, 0]))
    for path in state:
        torch.testing.assert_close(after[path], state[path])
        torch.testing.assert_close(ragged[path][0], state[path][0])
        torch.testing.assert_close(ragged[path][1], between[path][1])
        torch.testing.assert_close(ragged[path][2], machine.initial_state(3)[path][2])


@both
def test_they_are_copied_saved_and_converted(name: str):
    """As any machine is."""
    machine, other, inputs = built(name), built(name), drawn(3, 2, 3)
    other.load_state_dict(machine.state_dict())
    for one in (other, copy.deepcopy(machine)):
        assert torch.equal(one(inputs)[0], machine(inputs)[0])
    single, _ = machine.float()(inputs.float())
    torch.testing.assert_close(single.double(), other(inputs)[0], rtol=1e-4, atol=1e-5)


def test_state_of_other_parts_is_of_the_machines_dtype():
    """Beside a memory whose first tensor is of whole numbers, trackers and stages still keep real ones."""
    spec = NTMSpec.model_validate(MODELS["log"])
    heads = [spec.heads[0].model_copy(update={"addressing": [LaggingSpec()]}), spec.heads[1]]
    memory = spec.memory.model_copy(update={"trackers": [WrittenSpec()]})
    machine = Machine(NTMSpec(memory=memory, controller=spec.controller, heads=heads), 3, 2)
    state = machine.initial_state(1)
    assert state["trackers.written.amount"].dtype == torch.float32
    assert torch.equal(state["heads.read.addressing.lagging.last"], torch.full((1, 2, 4), 0.25))


def test_the_tape_moves_under_its_head():
    """What was written at cell 0 and moved right comes back when the tape is moved left."""
    machine = built("tape")
    memory, state = machine.memory, machine.memory.initial_state(1)
    one, zero = torch.ones(1, 1, 1).double(), torch.zeros(1, 1, 1).double()
    value = drawn(1, 1, 3)
    right = {"gate": one, "value": value, "move": torch.tensor([[[0.0, 0.0, 1.0]]]).double()}
    left = {"gate": zero, "value": value, "move": torch.tensor([[[0.0, 1.0, 0.0]]]).double()}
    after = memory.write(state, [right])
    assert torch.equal(after["cells"][:, 1:2], value)
    assert torch.equal(memory.read(memory.write(after, [left]), torch.zeros(1, 1, 4)), value)


def test_the_log_appends_and_starts_anew_when_full():
    """The pointer counts entries, each sequence its own."""
    machine = built("log")
    _, state = machine(drawn(6, 2, 3), lengths=torch.tensor([6, 3]))
    assert state["memory.pointer"].tolist() == [6, 3]
    filled = state["memory.entries"].abs().sum(-1) > 0
    assert filled.tolist() == [[True] * 4, [True, True, True, False]]


@pytest.mark.parametrize("interface", ["linear", "layer-norm"])
def test_a_machine_may_ask_nothing_of_its_controller(interface: str):
    """Heads and stages without a field leave the interface empty."""
    machine = Machine(
        NTMSpec.model_validate({"interface": interface, "heads": [{"kind": "read", "addressing": []}]}), 3, 2
    )
    outputs, state = machine(torch.rand(3, 2, 3))
    assert outputs.shape == (3, 2, 2)
    assert torch.equal(state["heads.read.weighting"], machine.initial_state(2)["heads.read.weighting"])


def test_a_recording_sees_them():
    """Whatever a memory keeps and a head changes is recorded by its own name."""
    seen: set[str] = set()
    built("tape")(drawn(1, 1, 3), record=[lambda path, value: seen.add(path)])
    assert {"memory.cells", "heads.tape-head.change.move", "heads.tape-head.reads"} <= seen
