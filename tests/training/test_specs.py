"""Optimisers as specs: every scalar may be a schedule, and nothing out of range is taken."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.training.specs import AdamSpec, CSVSpec, GravesRMSpropSpec, RMSpropSpec, SGDSpec

RISING = {"knots": {0: 0.1, 10: 0.5}}


@pytest.mark.parametrize(
    "spec",
    [
        AdamSpec(learning_rate=RISING, beta1=RISING, beta2=RISING, epsilon=RISING, weight_decay=RISING),
        RMSpropSpec(learning_rate=RISING, alpha=RISING, epsilon=RISING, momentum=RISING, weight_decay=RISING),
        RMSpropSpec(learning_rate=RISING, centered=True),
        SGDSpec(learning_rate=RISING, momentum=RISING, weight_decay=RISING, nesterov=True),
        GravesRMSpropSpec(learning_rate=RISING, decay=RISING, momentum=RISING, damping=RISING),
    ],
)
def test_every_scalar_reaches_the_param_groups(spec: OptimizerSpec) -> None:
    """What `scalars` names are keys of the optimiser's param groups, and follow their schedules."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = spec.build([parameter])
    group = optimizer.param_groups[0]
    assert {name: group[name] for name in spec.scalars(0)} == spec.scalars(0)
    assert spec.scalars(10)["lr"] == 0.5
    for sequences in (0, 5, 10):
        group.update(spec.scalars(sequences))
        parameter.grad = torch.ones(3)
        optimizer.step()
    assert torch.isfinite(parameter).all()
    assert (parameter != 1).all()


@pytest.mark.parametrize(
    ("part", "wrong", "said"),
    [
        (AdamSpec, {"beta1": 1.0}, "from 0 to below 1, got 1"),
        (AdamSpec, {"epsilon": 0}, "above 0, got 0"),
        (AdamSpec, {"learning_rate": {"knots": {0: 1.0, 5: -2.0}}}, "at least 0, got -2"),
        (RMSpropSpec, {"momentum": {"knots": {0: 0.0, 5: 0.9}}}, "momentum is above 0 at every knot, or 0"),
        (SGDSpec, {"momentum": 0, "nesterov": True}, "nesterov needs a momentum"),
        (GravesRMSpropSpec, {"damping": 0}, "above 0, got 0"),
        (CSVSpec, {"file": "../outside.csv"}, "pattern"),
    ],
)
def test_a_value_out_of_range_is_refused(part: type, wrong: dict[str, object], said: str) -> None:
    """The error says the range and the value."""
    with pytest.raises(ValidationError, match=said):
        part(**wrong)
