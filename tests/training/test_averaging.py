"""The average of the weights: a plain mean at first, then an exponential one; swapped in and out without a trace."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ntm_toolkit.spec.experiment import AverageSpec, ClipSpec
from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.training.averaging import WeightAverage
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.specs import SGDSpec


class PlainSpec(SGDSpec):
    """SGD that is given each parameter by itself."""

    elementwise = False


OPTIMIZERS = [SGDSpec(learning_rate=0.1), PlainSpec(learning_rate=0.1)]
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["a vector", "parameters"])


def descent_of(optimizer: OptimizerSpec) -> tuple[list[nn.Parameter], Descent]:
    generator = torch.Generator().manual_seed(0)
    parameters = [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in ((2, 3), (4,))
    ]
    return parameters, Descent(parameters, optimizer, ClipSpec())


def update(parameters: list[nn.Parameter], descent: Descent, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    descent.norm()
    descent.step(number)


def flat(parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in parameters]).clone()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["a vector", "parameters"])
@given(decay=st.sampled_from([0.0, 0.5, 0.9]), after=st.integers(0, 8), updates=st.integers(0, 12))
def test_it_is_the_mean_and_then_exponential(optimizer: OptimizerSpec, decay: float, after: int, updates: int) -> None:
    """a <- a + (w - a) max(1 - decay, 1/n), from `after` on; before, it is the weights themselves."""
    parameters, descent = descent_of(optimizer)
    average = WeightAverage(AverageSpec(decay=decay, after=after), descent)
    expected, counted = flat(parameters), 0
    for number in range(1, updates + 1):
        update(parameters, descent, number)
        average.add(number)
        counted += number > after
        share = max(1 - decay, 1 / counted) if counted else 1.0
        expected = expected + (flat(parameters) - expected) * share
    with average.evaluated():
        torch.testing.assert_close(flat(parameters), expected, rtol=1e-12, atol=1e-14)


@each_optimizer
def test_evaluation_leaves_no_trace(optimizer: OptimizerSpec) -> None:
    """After it the weights are bit for bit as before, whatever happened; with `evaluate: raw` nothing is swapped."""
    parameters, descent = descent_of(optimizer)
    averages = {kind: WeightAverage(AverageSpec(evaluate=kind), descent) for kind in ("average", "raw")}  # type: ignore[arg-type]
    for number in (1, 2):
        update(parameters, descent, number)
        for average in averages.values():
            average.add(number)
    raw = flat(parameters)
    with averages["raw"].evaluated():
        assert torch.equal(flat(parameters), raw)

    def fail() -> None:
        with averages["average"].evaluated():
            assert not torch.equal(flat(parameters), raw)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(flat(parameters), raw)


@each_optimizer
@pytest.mark.parametrize("evaluate", ["average", "raw"])
@pytest.mark.parametrize("stopped", [1, 3])
def test_it_goes_on_bit_by_bit(optimizer: OptimizerSpec, evaluate: str, stopped: int) -> None:
    """Restored from what is kept, with the weights that are evaluated, both go on as if nothing had stopped."""
    spec = AverageSpec(decay=0.5, after=1, evaluate=evaluate)  # type: ignore[arg-type]
    whole, descent = descent_of(optimizer)
    average = WeightAverage(spec, descent)
    for number in range(1, 6):
        update(whole, descent, number)
        average.add(number)
        if number == stopped:
            of_average, of_optimizer = average.state_dict(), copy.deepcopy(descent.state_dict())
            with average.evaluated():
                weights = [parameter.detach().clone() for parameter in whole]
                kept = copy.deepcopy(of_average)
    resumed, again = descent_of(optimizer)
    for parameter, value in zip(resumed, weights, strict=True):
        parameter.data.copy_(value)
    again.load_state_dict(of_optimizer)
    restored = WeightAverage(spec, again)
    restored.load_state_dict(kept)
    for number in range(stopped + 1, 6):
        update(resumed, again, number)
        restored.add(number)
    assert torch.equal(flat(resumed), flat(whole))
    with average.evaluated(), restored.evaluated():
        assert torch.equal(flat(resumed), flat(whole))


@each_optimizer
def test_a_state_of_other_parameters_is_refused(optimizer: OptimizerSpec) -> None:
    """What was kept of other parameters is an error."""
    parameters, descent = descent_of(optimizer)
    average = WeightAverage(AverageSpec(), descent)
    update(parameters, descent, 1)
    average.add(1)
    state = average.state_dict()
    with pytest.raises(ValueError, match="other parameters than these 2"):
        average.load_state_dict({**state, "others": state["others"][:1]})
