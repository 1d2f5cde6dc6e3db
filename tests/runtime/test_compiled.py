"""The compile runtime: it means what eager means, it is compiled once for each case, and it falls back clearly."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch._dynamo.utils import counters

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.runtime import compiled
from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem

needs_compiler = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")


def small_machine() -> Machine:
    """Return a machine of the paper's pipeline that compiles in seconds."""
    stages = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]
    spec = NTMSpec(
        memory=MatrixSpec(slots=6, width=3),
        controller=LSTMSpec(size=5),
        heads=[ReadSpec(addressing=stages), WriteSpec(addressing=stages)],
    )
    machine = spec.build(4, 2, seed=1)
    assert isinstance(machine, Machine)
    return machine.double()


def results(machine: Machine, inputs: torch.Tensor, lengths: torch.Tensor | None) -> list[torch.Tensor]:
    """Return outputs, final state and all gradients of a scalar made of both."""
    machine.zero_grad()
    outputs, state = machine(inputs, lengths=lengths)
    (outputs.sin().sum() + state["memory.matrix"].cos().sum()).backward()
    gradients = [torch.zeros(()) if p.grad is None else p.grad.clone() for p in machine.parameters()]
    return [outputs.detach(), *(state[path].detach() for path in sorted(state)), *gradients]


@dataclass(frozen=True)
class Shared:
    """What tests that compile share, as each case that is compiled takes as long as hundreds of other tests.

    Attributes:
        machine: the machine.
        loop: what compiles its step.
        before: graphs that had been compiled before its first.
    """

    machine: Machine
    loop: CompiledLoop
    before: int


@pytest.fixture(scope="module")
def shared() -> Shared:
    """A machine and a loop that both tests use."""
    return Shared(small_machine(), CompiledLoop(), counters["stats"]["unique_graphs"])


@needs_compiler
def test_agrees_with_eager_and_compiles_once_for_each_case(shared: Shared) -> None:
    """Values and gradients agree to 1e-10 for any batch, length and raggedness, with one compilation a case."""
    machine = shared.machine
    for batch, time, ragged in [(3, 2, False), (5, 7, False), (3, 4, True), (8, 1, True), (2, 41, False)]:
        inputs = torch.rand(time, batch, 4, dtype=torch.float64)
        lengths = torch.randint(0, time + 1, (batch,)) if ragged else None
        machine.runner = EagerLoop()
        expected = results(machine, inputs, lengths)
        machine.runner = shared.loop
        for ours, theirs in zip(results(machine, inputs, lengths), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert counters["stats"]["unique_graphs"] - shared.before == 2


@needs_compiler
def test_backward_can_be_repeated(shared: Shared) -> None:
    """A graph that is retained gives the same gradients a second time."""
    machine = shared.machine
    machine.runner = shared.loop
    machine.zero_grad()
    loss = machine(torch.rand(2, 1, 4, dtype=torch.float64))[0].sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in machine.parameters() if p.grad is not None]
    machine.zero_grad()
    loss.backward()
    for once, again in zip(first, [p.grad for p in machine.parameters() if p.grad is not None], strict=True):
        torch.testing.assert_close(once, again)


def test_without_a_compiler_it_warns_once_and_runs_in_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler: one warning that says what is missing, and eager's result."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    machine, inputs = small_machine(), torch.rand(3, 2, 4, dtype=torch.float64)
    expected = machine(inputs)[0]
    machine.runner = CompiledLoop()
    with pytest.warns(
        RuntimeWarning, match=r"runs in eager: no C\+\+ compiler was found \(looked for no-such-compiler\)"
    ):
        outputs = machine(inputs)[0]
    assert torch.equal(outputs, expected)
    machine(inputs)  # warnings are errors here: a second one would fail


def test_a_failing_compilation_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while compiling ends in one warning with the reason."""

    def broken(step: object) -> object:
        def compiled_step(*arguments: object) -> object:
            raise NotImplementedError("an operation nobody lowered")

        return compiled_step

    monkeypatch.setattr(compiled, "_compile", broken)
    monkeypatch.setattr(compiled, "compiler_problem", lambda device: None)
    machine = small_machine()
    machine.runner = CompiledLoop()
    with pytest.warns(RuntimeWarning, match="torch.compile failed: NotImplementedError: an operation nobody lowered"):
        machine(torch.rand(2, 1, 4, dtype=torch.float64))


def test_models_that_are_compiled_can_be_copied_and_pickled() -> None:
    """A copy compiles for itself; nothing compiled is carried over."""
    machine = small_machine()
    machine.runner = CompiledLoop()
    assert isinstance(copy.deepcopy(machine).runner, CompiledLoop)
    assert isinstance(pickle.loads(pickle.dumps(machine)).runner, CompiledLoop)
