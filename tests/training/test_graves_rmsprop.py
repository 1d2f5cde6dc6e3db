"""Graves's RMSProp against his equations, written as loops in float64."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training.graves_rmsprop import GravesRMSprop
from ntm_toolkit.training.specs import GravesRMSpropSpec

gradients = st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=1, max_size=8)


def by_the_equations(
    start: list[float], gradients: list[list[float]], scalars: list[dict[str, float]]
) -> tuple[list[float], list[float]]:
    """Return the parameters and their last changes after eqs. 38 to 42 of Graves 2013, one element at a time."""
    p, n, m, d = list(start), [0.0] * len(start), [0.0] * len(start), [0.0] * len(start)
    for gradient, s in zip(gradients, scalars, strict=True):
        for i, g in enumerate(gradient):
            n[i] = s["decay"] * n[i] + (1 - s["decay"]) * g * g
            m[i] = s["decay"] * m[i] + (1 - s["decay"]) * g
            d[i] = s["momentum"] * d[i] - s["lr"] * g / math.sqrt(max(n[i] - m[i] * m[i], 0.0) + s["damping"])
            p[i] += d[i] - s["lr"] * s["weight_decay"] * p[i]
    return p, d


@given(
    gradients, st.floats(0, 0.99), st.floats(0, 0.99), st.floats(1e-3, 1.0), st.one_of(st.just(0.0), st.floats(0, 1.0))
)
def test_it_is_graves_equations(
    gradients: list[list[float]], decay: float, momentum: float, damping: float, weight_decay: float
) -> None:
    """Parameters and changes are those of the equations, with a learning rate and a damping that change."""
    spec = GravesRMSpropSpec(
        learning_rate=Schedule(knots={0: 0.1, 4: 0.01}),
        decay=decay,
        momentum=momentum,
        damping=Schedule(knots={0: damping, 5: damping / 10}, curve="geometric"),
        weight_decay=weight_decay,
    )
    start = [0.5, -1.0, 2.0]
    # Two tensors, so that each element has to find its own averages.
    parameters = [torch.nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in (start[:1], start[1:])]
    optimizer = spec.build(parameters)
    scalars = [dict(spec.scalars(step)) for step in range(len(gradients))]
    for gradient, now in zip(gradients, scalars, strict=True):
        for parameter, part in zip(parameters, (gradient[:1], gradient[1:]), strict=True):
            parameter.grad = torch.tensor(part, dtype=torch.float64)
        optimizer.param_groups[0].update(now)
        optimizer.step()
    expected, changes = by_the_equations(start, gradients, scalars)
    assert torch.cat([p.detach() for p in parameters]).tolist() == pytest.approx(expected, rel=1e-8, abs=1e-8)
    deltas = torch.cat([optimizer.state[p]["delta"] for p in parameters])
    assert deltas.tolist() == pytest.approx(changes, rel=1e-8, abs=1e-8)


def test_a_constant_gradient_does_not_take_the_root_of_a_negative_number() -> None:
    """Where rounding makes n - m^2 negative, steps stay finite."""
    parameter = torch.nn.Parameter(torch.zeros(1000))
    optimizer = GravesRMSprop([parameter], lr=1e-3, damping=1e-12)
    constant = torch.linspace(0.1, 50, 1000)
    below_zero = False
    for _ in range(400):
        parameter.grad = constant.clone()
        optimizer.step()
        state = optimizer.state[parameter]
        below_zero |= bool((state["square"] - state["mean"] ** 2 < 0).any())
    assert below_zero, "the test shows nothing unless rounding does that"
    assert torch.isfinite(parameter).all()


def test_a_parameter_without_gradient_stays() -> None:
    """A parameter that took no part in the loss is not moved by its momentum."""
    used, idle = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = GravesRMSprop([used, idle], lr=0.1)
    used.grad = torch.ones(2)
    optimizer.step()
    assert (idle == 1).all()
    assert (used != 1).all()


def test_a_state_dict_goes_on_where_it_was() -> None:
    """An optimiser that takes over another's state_dict makes the same next step."""
    first, second = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    one, two = GravesRMSprop([first]), GravesRMSprop([second])
    first.grad = torch.tensor([1.0, -2.0, 0.0])
    one.step()
    second.data.copy_(first.data)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for parameter, optimizer in ((first, one), (second, two)):
        parameter.grad = torch.tensor([0.5, 0.25, -1.0])
        optimizer.step()
    assert torch.equal(first, second)


def test_any_layout_and_group_of_parameters_is_changed_alike() -> None:
    """Neither memory layout nor the group, joined at first or later, makes a difference to a parameter's steps."""
    values, gradient = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3), torch.arange(6.0).reshape(2, 3)
    plain, late = torch.nn.Parameter(values.clone()), torch.nn.Parameter(values.clone())
    turned = torch.nn.Parameter(values.t().contiguous().t())
    assert not turned.is_contiguous()
    optimizer = GravesRMSprop([plain, turned], lr=0.1)
    optimizer.add_param_group({"params": [late], "lr": 0.1})
    for _ in range(3):
        for parameter in (plain, turned, late):
            parameter.grad = gradient.double()
        optimizer.step()
    assert not torch.equal(plain, values)
    torch.testing.assert_close(turned, plain, rtol=1e-14, atol=0)
    torch.testing.assert_close(late, plain, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "wrong", [{"lr": -1.0}, {"decay": 1.0}, {"momentum": -0.1}, {"damping": 0.0}, {"weight_decay": -1.0}]
)
def test_a_scalar_outside_its_range_is_refused(wrong: dict[str, float]) -> None:
    """Each scalar's range is checked, and the message has the value."""
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        GravesRMSprop([torch.nn.Parameter(torch.ones(1))], **wrong)


def test_a_copy_and_one_from_a_pickle_go_on_alike() -> None:
    """A deep copy, and parameters that get a gradient only later, make the same steps as if nothing had happened."""
    one, late = torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(4))
    optimizer = GravesRMSprop([one, late])
    one.grad = torch.full((2, 3), 0.5)
    optimizer.step()
    late.grad = torch.full((4,), -0.25)
    optimizer.step()
    copied = copy.deepcopy(optimizer)
    pickled = pickle.loads(pickle.dumps(optimizer))
    optimizer.step()
    for other in (copied, pickled):
        parameters = other.param_groups[0]["params"]
        for parameter, original in zip(parameters, (one, late), strict=True):
            parameter.grad = original.grad
        other.step()
        assert torch.equal(parameters[0], one)
        assert torch.equal(parameters[1], late)
        assert torch.equal(other.state[parameters[1]]["mean"], optimizer.state[late]["mean"])
    alone = torch.nn.Parameter(torch.ones(4))
    simple = GravesRMSprop([alone])
    for _ in range(2):
        alone.grad = torch.full((4,), -0.25)
        simple.step()
    assert torch.equal(alone, late)
