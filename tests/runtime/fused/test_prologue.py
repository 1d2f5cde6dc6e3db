"""What comes before the steps as programs: they mean what the parts mean, and where they cannot, steps stand alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ntm_toolkit.controllers.lstm import LSTM
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.runtime.fused.prologue import programs_of
from tests.examples import drawn, small_machine
from tests.runtime.fused.machines import compare
from tests.runtime.fused.test_trace import steps_of
from tests.runtime.fused.zoo_machines import MACHINES

SOME = ["two-layer-lstm", "gru-and-layer-norm", "trackers-state-and-noise", "rolling-tape", "usage"]


@pytest.mark.parametrize("name", SOME)
def test_it_means_what_the_parts_mean(name: str) -> None:
    """Packed tensors, the state at the start, and the gradients of a weighted sum of all of them."""
    machine = Machine(MACHINES[name](), 3, 2).double()
    step = programs_of(machine, steps_of(machine))
    assert step.prologue is not None
    own = {f"own.{path}": value for path, value in (*machine.named_parameters(), *machine.named_buffers())}
    start = machine.initial_state(1)
    meant = {f"packed.{path}": value for path, value in machine.pack().items()}
    meant |= {f"state.{path}": value[0] for path, value in start.items()}
    made = interpret(step.prologue.forward, own, {"none": drawn(1)})
    assert made.keys() == meant.keys()
    for role, value in meant.items():
        assert torch.equal(made[role].reshape(value.shape), value.to(made[role].dtype)), role
    weights = {role: drawn(1, *value.shape, seed=seed) for seed, (role, value) in enumerate(meant.items())}
    torch.stack([(meant[role] * weights[role]).sum() for role in meant if meant[role].requires_grad]).sum().backward()
    given = {role: weights[role.removeprefix("gradient.")] for role in step.prologue.backward.inputs}
    back = interpret(step.prologue.backward, own, given)
    for path, parameter in machine.named_parameters():
        gradient = back.get(f"gradient.own.{path}")
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        found = torch.zeros_like(parameter) if gradient is None else gradient.reshape(parameter.shape)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


class MixesSteps(LSTM):
    """Its map of the inputs is one across steps."""

    def project(self, inputs: Tensor) -> Tensor:
        """Return it."""
        return super().project(inputs).cumsum(0)


class HasNoLowering(LSTM):
    """Its map of the inputs is an operation that no kernel knows."""

    def project(self, inputs: Tensor) -> Tensor:
        """Return it."""
        return super().project(torch.fft.rfft(inputs, dim=2, n=5).real)


class TellsSequencesApart(LSTM):
    """Its state starts elsewhere for each sequence."""

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return it."""
        each = torch.arange(batch, dtype=torch.float64)[:, None]
        return {name: value + 0.1 * each for name, value in super().initial_state(batch).items()}


@pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")
@pytest.mark.parametrize("kind", [MixesSteps, HasNoLowering, TellsSequencesApart])
def test_otherwise_steps_stand_alone(kind: type[LSTM]) -> None:
    """A map across steps or of an unknown operation, and a start that differs among sequences, stay torch's."""
    machine, loop = small_machine(), FusedLoop(optimise=False)
    machine.controller.__class__ = kind
    compare(machine, loop, drawn(5, 3, 3))
    compare(machine, loop, drawn(5, 3, 3), lengths=torch.tensor([5, 0, 2]))
    [made] = loop._made.values()
    assert [ready.kernel.signature.whole for ready in made.kernels.values()] == [False]
