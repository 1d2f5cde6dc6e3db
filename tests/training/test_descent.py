"""Clipping and the optimiser's step: as for each parameter by itself, and resumed bit by bit."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Literal

import pytest
import torch
from torch import nn

from ntm_toolkit.spec.experiment import ClipSpec
from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.specs import AdamSpec, GravesRMSpropSpec, RMSpropSpec, SGDSpec

SHAPES = [(3, 5), (7,), (), (2, 1, 4)]
OPTIMIZERS = [
    AdamSpec(learning_rate=0.1, weight_decay=0.01),
    RMSpropSpec(learning_rate=0.1, momentum=0.5, centered=True),
    SGDSpec(learning_rate=0.1, weight_decay=0.01),
    GravesRMSpropSpec(learning_rate=0.1),
]


class SignSpec(OptimizerSpec):
    """Steps of one length for each parameter: no elementwise rule."""

    kind: Literal["sign"] = "sign"

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser."""
        return Normalized(list(parameters), {})


class Normalized(torch.optim.Optimizer):
    """Divides each parameter's gradient by its norm."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take a step."""
        for parameter in self.param_groups[0]["params"]:
            parameter -= parameter.grad / parameter.grad.norm()


def parameters_of(*dtypes: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtypes[place % len(dtypes)]))
        for place, shape in enumerate(SHAPES)
    ]


def give_gradients(parameters: list[nn.Parameter], update: int, without: int | None = None) -> None:
    generator = torch.Generator().manual_seed(update)
    for place, parameter in enumerate(parameters):
        gradient = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
        parameter.grad = None if place == without else gradient


def descend(descent: Descent, parameters: list[nn.Parameter], updates: range, without: int | None = None) -> None:
    for update in updates:
        descent.clear()
        give_gradients(parameters, update, without)
        descent.clip(descent.norm())
        descent.step(update)


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("dtypes", [(torch.float64,), (torch.float64, torch.float32)], ids=["one dtype", "two"])
@pytest.mark.parametrize("clip", [ClipSpec(), ClipSpec(norm=1.0, value=0.5), ClipSpec(norm=1e6)], ids=str)
def test_a_vector_is_changed_as_its_parameters(
    spec: OptimizerSpec, dtypes: tuple[torch.dtype, ...], clip: ClipSpec
) -> None:
    """Parameters change as torch's own clipping and an optimiser that is given each of them would change them."""
    together, apart = parameters_of(*dtypes), parameters_of(*dtypes)
    descend(Descent(together, spec, clip), together, range(5))
    optimizer = spec.build(apart)
    for update in range(5):
        give_gradients(apart, update)
        if clip.value is not None:
            nn.utils.clip_grad_value_(apart, clip.value)
        if clip.norm is not None:
            nn.utils.clip_grad_norm_(apart, clip.norm)
        optimizer.step()
    for one, other in zip(together, apart, strict=True):
        tight = one.dtype == torch.float64 and len(dtypes) == 1
        torch.testing.assert_close(one, other, rtol=1e-11 if tight else 1e-5, atol=1e-12 if tight else 1e-6)


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("without", [None, 0, 2])
def test_a_state_goes_on_bit_by_bit(spec: OptimizerSpec, without: int | None) -> None:
    """Taken up from a state_dict, descent ends where it would have ended, also with a parameter that never moves."""
    whole, stopped = parameters_of(torch.float32), parameters_of(torch.float32)
    descend(Descent(whole, spec, ClipSpec(norm=1.0)), whole, range(6), without)
    before = Descent(stopped, spec, ClipSpec(norm=1.0))
    descend(before, stopped, range(3), without)
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in stopped]
    after = Descent(resumed, spec, ClipSpec(norm=1.0))
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    descend(after, resumed, range(3, 6), without)
    for one, other, start in zip(resumed, whole, parameters_of(torch.float32), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, start) == (without is not None and one is resumed[without])


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.kind)
def test_the_state_is_that_of_parameters(spec: OptimizerSpec) -> None:
    """What is kept is what the optimiser keeps of each parameter, so that how vectors are laid out may change."""
    together, apart = parameters_of(torch.float64), parameters_of(torch.float64)
    descent = Descent(together, spec, ClipSpec())
    descend(descent, together, range(2))
    optimizer = spec.build(apart)
    for update in range(2):
        give_gradients(apart, update)
        optimizer.step()
    kept, expected = descent.state_dict(), optimizer.state_dict()
    assert kept["param_groups"] == expected["param_groups"]
    torch.testing.assert_close(kept["state"], expected["state"], rtol=1e-11, atol=1e-12)
    again = Descent(parameters_of(torch.float64), spec, ClipSpec())
    again.load_state_dict(expected)
    torch.testing.assert_close(again.state_dict(), expected, rtol=0, atol=0)


def test_a_state_of_other_parameters_is_refused() -> None:
    """A state_dict of more or fewer parameters is an error."""
    one, two = parameters_of(torch.float32), parameters_of(torch.float32)[:2]
    state = Descent(one, AdamSpec(), ClipSpec()).state_dict()
    with pytest.raises(ValueError, match="other parameters than these 2"):
        Descent(two, AdamSpec(), ClipSpec()).load_state_dict(state)


def test_other_optimizers_are_given_each_parameter() -> None:
    """An optimiser that is not elementwise sees the parameters themselves, clipped and resumed all the same."""
    parameters = parameters_of(torch.float64)
    descent = Descent(parameters, SignSpec(), ClipSpec(norm=1.0))
    descend(descent, parameters, range(1))
    for parameter, start in zip(parameters, parameters_of(torch.float64), strict=True):
        assert float((parameter - start).detach().norm()) == pytest.approx(1.0)
    descent.load_state_dict(descent.state_dict())


def test_frozen_parameters_are_no_part_of_it() -> None:
    """What is not among the parameters, such as what is frozen, keeps its memory and its values."""
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    address, values = model.bias.data_ptr(), model.bias.clone()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    descent = Descent(parameters, SGDSpec(), ClipSpec())
    model(torch.ones(1, 2)).sum().backward()
    descent.norm()
    descent.step(0)
    assert model.bias.data_ptr() == address
    assert torch.equal(model.bias, values)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_number_of_threads_changes_no_bit(optimizer: OptimizerSpec) -> None:
    """Norm, clipping and step are the same on any number of threads, which stays what it was."""
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            generator = torch.Generator().manual_seed(0)
            parameter = nn.Parameter(torch.randn(70_000, generator=generator))
            descent = Descent([parameter], optimizer, ClipSpec(norm=1.0))
            for _ in range(2):
                parameter.grad = torch.randn(70_000, generator=generator)
                descent.clip(descent.norm())
                descent.step(0)
            assert torch.get_num_threads() == threads
            found.append(parameter.detach().clone())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
