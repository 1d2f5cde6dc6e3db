"""Whole machines against the loops that were written from the paper."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from tests.examples import small_spec
from tests.reference.ntm import run_batch
from tests.strategies import machines


def weighted_sum(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """A scalar in which every element of every tensor has a weight of its own."""
    total = torch.zeros((), dtype=torch.float64)
    for path in sorted(tensors):
        generator = torch.Generator().manual_seed(len(path))
        total = total + (tensors[path] * torch.randn(tensors[path].shape, generator=generator).double()).sum()
    return total


def gradients_of(value: torch.Tensor, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """The gradient of a scalar by each parameter; zero where it does not depend on it."""
    if not value.requires_grad:
        return [torch.zeros_like(parameter) for parameter in parameters]
    return list(torch.autograd.grad(value, parameters, materialize_grads=True))


def compare(spec: NTMSpec, inputs: torch.Tensor, lengths: list[int] | None, seed: int = 0) -> None:
    machine = Machine(spec, inputs.shape[-1], 2, seed=seed).double()
    parameters = {
        name: value.detach().clone().requires_grad_(isinstance(value, torch.nn.Parameter))
        for name, value in machine.state_dict(keep_vars=True).items()
    }
    outputs, state = machine(inputs, lengths=None if lengths is None else torch.tensor(lengths))
    expected, expected_state = run_batch(spec, parameters, inputs, lengths)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-11)
    assert set(expected_state) | {"time"} == set(state)
    for path, value in expected_state.items():
        torch.testing.assert_close(state[path], value, rtol=1e-9, atol=1e-11, msg=lambda m, p=path: f"{p}: {m}")

    names = [name for name, value in parameters.items() if value.requires_grad]
    ours = weighted_sum({**{path: state[path] for path in expected_state}, "outputs": outputs})
    theirs = weighted_sum({**expected_state, "outputs": expected})
    own = dict(machine.named_parameters())
    gradients = gradients_of(ours, [own[name] for name in names])
    expected_gradients = gradients_of(theirs, [parameters[name] for name in names])
    for name, gradient, reference in zip(names, gradients, expected_gradients, strict=True):
        scale = max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(
            gradient / scale, reference / scale, rtol=1e-7, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


@given(data=st.data(), spec=machines())
def test_values_and_gradients_are_those_of_the_equations(data: Any, spec: NTMSpec):
    """Outputs, final state and all gradients of any built-in machine equal the loops', ragged lengths included."""
    time, batch = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    lengths = data.draw(st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    seed = data.draw(st.integers(0, 3))
    inputs = torch.randn(time, batch, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    compare(spec, inputs, lengths, seed)


def test_the_copy_machine_is_that_of_the_equations():
    """The defaults, at a size where addressing has something to do, over more steps."""
    spec = small_spec(memory=MatrixSpec(slots=8, width=5), controller=LSTMSpec(size=10))
    inputs = torch.randn(8, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    compare(spec, inputs, [8, 5])
