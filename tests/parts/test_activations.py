from __future__ import annotations

from typing import get_args

import pytest
import torch

from ntm_toolkit.parts import ACTIVATIONS, activate
from ntm_toolkit.spec.declarations import Activation
from tests.examples import drawn
from tests.reference.ntm import activated

NAMES = get_args(Activation)
RANGES = {
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "softplus": (0, torch.inf),
    "one-plus-softplus": (1, torch.inf),
    "relu": (0, torch.inf),
    "one-plus-relu": (1, torch.inf),
    "exp": (0, torch.inf),
    "softmax": (0, 1),
}


def test_every_activation_of_a_spec_has_a_function():
    """The names that a spec may use are those that compute."""
    assert set(ACTIVATIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_the_equations(name: Activation):
    """Each is its formula, and has the formula's derivative."""
    raw = drawn(4, 3).requires_grad_()
    values, expected = activate(raw, name), torch.stack([activated(row, name) for row in raw])
    torch.testing.assert_close(values, expected)
    weights = drawn(4, 3, seed=1)
    (gradient,) = torch.autograd.grad((values * weights).sum(), raw)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), raw)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("name", sorted(RANGES))
def test_activations_keep_to_their_range(name: Activation):
    """However large the raw numbers are, the values stay in range and are no NaN."""
    low, high = RANGES[name]
    values = activate(torch.tensor([[-80.0, -1.0, 0.0, 1.0, 80.0]]), name)
    assert bool(((values >= low) & (values <= high)).all())


def test_a_softmax_field_sums_to_one_over_its_own_size():
    """Not over heads, and not over the batch."""
    torch.testing.assert_close(activate(drawn(5, 2, 3), "softmax").sum(-1), torch.ones(5, 2, dtype=torch.float64))
