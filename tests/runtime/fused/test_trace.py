"""A step becomes a graph that knows whose each operation is; what cannot be traced is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.runtime.fused.program import programs
from ntm_toolkit.runtime.fused.trace import Joint, trace
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from tests.examples import drawn, small_machine
from tests.runtime.fused.zoo import ZOO, Animal
from tests.runtime.fused.zoo_machines import machine_of


class _KeptError(Exception):
    def __init__(self, steps: Steps) -> None:
        self.steps = steps


def steps_of(machine: Machine) -> Steps:
    """What a runtime is given for two sequences of two steps."""

    def keep(step: Any, steps: Steps) -> Any:
        raise _KeptError(steps)

    machine.runner = keep
    with pytest.raises(_KeptError) as kept:
        machine(drawn(2, 2, machine.input_size))
    return kept.value.steps


def traced(machine: Machine) -> Joint:
    return trace(machine, steps_of(machine))


def animal(monkeypatch: pytest.MonkeyPatch, function: Any, **asked: Any) -> Machine:
    """A machine with such a stage, called `blur`."""
    monkeypatch.setitem(ZOO, "blur", Animal(function, **asked))
    return Machine(machine_of("blur"), 3, 2).double()


def test_every_operation_has_an_origin():
    """Forward and backward operations carry the path of a part that the spec has, or of the step itself."""
    machine = small_machine()
    origins = {node.meta.get("origin") for node in traced(machine).graph.graph.nodes if node.op == "call_function"}
    assert {
        "model.controller",
        "model.interface",
        "model.memory",
        "model.heads.read.addressing.content.similarity",
        "model.heads.read.addressing.shift",
        "model.heads.write",
    } <= origins


def test_operations_of_the_backward_pass_have_their_part():
    """What a stage's derivative needs is laid to that stage."""
    step = programs(traced(small_machine()))
    owners = [statement.target.buffer.origin for statement in step.backward.statements if hasattr(statement, "target")]
    assert owners.count("model.heads.read.addressing.shift") > 3
    assert owners.count("model.controller") > 3


def test_lines_are_those_of_the_part(monkeypatch: pytest.MonkeyPatch):
    """A node says in which line of the user's code it was made."""

    def function(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
        return torch.digamma(w)

    graph = traced(animal(monkeypatch, function)).graph.graph
    [node] = graph.find_nodes(op="call_function", target=torch.ops.aten.digamma.default)
    assert node.meta["origin"] == "model.heads.blur.addressing.blur"
    assert node.meta["line"].endswith(f"test_trace.py:{function.__code__.co_firstlineno + 1}")


def _branch(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    return w * 2 if w.sum() > 0 else w


def _item(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    return w * float(w.max())


def _changes_previous(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    view.previous.mul_(0.5)
    return w


def _changes_time(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    view.time.add_(1)
    return w


def _changes_memory(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    view.memory["matrix"][..., 0] = 0
    return w


def _noise(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    return w + torch.randn_like(w)


def _constant_noise(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    return w + torch.rand(w.shape[-1])


def _unknown(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
    return torch.digamma(w)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_branch, "looks at a tensor's values.*torch.where"),
        (_item, "looks at a tensor's values"),
        (_changes_previous, r"an input of the step is changed in place \(mul_\)"),
        (_changes_time, r"changed in place \(add_\)"),
        (_changes_memory, r"changed in place \(__setitem__\)"),
        (_noise, "random numbers are drawn inside the step.*declare them with `noise`"),
        (_constant_noise, "random numbers are drawn inside the step"),
        (_unknown, r"does not know the operation aten\.digamma\.default.*runtime: compile"),
    ],
)
def test_refusals_name_the_part_and_the_line(monkeypatch: pytest.MonkeyPatch, function: Any, message: str):
    """A step that cannot be compiled is refused with part, line, operation and a way out."""
    machine = animal(monkeypatch, function)
    line = function.__code__.co_firstlineno + 1
    where = rf"model\.heads\.blur\.addressing\.blur \(.*test_trace\.py:{line}\): "
    with pytest.raises(UnsupportedError, match=f"(?s){where}.*{message}") as refused:
        programs(traced(machine))
    assert refused.value.part == "model.heads.blur.addressing.blur"


def test_a_faulty_step_fails_as_in_eager(monkeypatch: pytest.MonkeyPatch):
    """An error of the step's own is not hidden behind the compiler's."""

    def function(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
        raise KeyError("no such field")

    with pytest.raises(KeyError, match="no such field"):
        traced(animal(monkeypatch, function))


def test_random_state_stays(monkeypatch: pytest.MonkeyPatch):
    """Tracing draws nothing from torch's generator, even where the step does."""
    machine = animal(monkeypatch, _noise)
    steps, before = steps_of(machine), torch.get_rng_state()
    trace(machine, steps)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes_without_gradients(mode: Any):
    """The joint graph is the same whether or not gradients are being recorded."""
    machine = small_machine()
    count = len(traced(machine).graph.graph.nodes)
    with mode():
        assert len(traced(machine).graph.graph.nodes) == count


def test_the_machine_is_left_as_it_was():
    """Parameters are the same objects, without gradients, and of the same values."""
    machine = small_machine()
    before = {name: (value, value.detach().clone()) for name, value in machine.named_parameters()}
    traced(machine)
    for name, value in machine.named_parameters():
        assert value is before[name][0]
        assert torch.equal(value, before[name][1])
        assert value.grad is None


def test_buffers_have_no_gradient(monkeypatch: pytest.MonkeyPatch):
    """What is no parameter is an input without a gradient, whatever its dtype."""

    def function(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
        return w * own.scale + own.whole

    machine = animal(monkeypatch, function, buffers={"scale": torch.tensor(2.0), "whole": torch.tensor([1] * 5)})
    step = programs(traced(machine))
    assert any(name.endswith("blur.scale") for name in step.forward.shared)
    assert any(name.endswith("blur.whole") for name in step.forward.shared)
    assert not any("blur." in role for role in step.backward.outputs if role.startswith("sum."))


def test_a_custom_derivative_is_used(monkeypatch: pytest.MonkeyPatch):
    """A `torch.autograd.Function` of a user's is traced with the derivative that it states."""

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.round()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            return torch.digamma(gradient)

    def function(w: Tensor, fields: Any, view: Any, own: Any) -> Tensor:
        result: Tensor = Doubled.apply(w)
        return result

    graph = traced(animal(monkeypatch, function)).graph.graph
    assert len(graph.find_nodes(op="call_function", target=torch.ops.aten.digamma.default)) == 1
