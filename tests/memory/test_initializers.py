from __future__ import annotations

import math

import pytest
import torch

from ntm_toolkit.memory.initializers import Fixed, Learned
from ntm_toolkit.memory.specs import (
    ConstantSpec,
    LearnedSpec,
    LearnedWeightingSpec,
    OneHotSpec,
    RampSpec,
    RandomSpec,
    UniformSpec,
    ZerosSpec,
)
from ntm_toolkit.spec.families import InitializerSpec
from tests.examples import SMALL

WEIGHTINGS = [OneHotSpec(slot=2), UniformSpec(), RampSpec(), LearnedWeightingSpec()]
LEARNED = [LearnedSpec(), LearnedSpec(activation="tanh"), LearnedWeightingSpec(), ConstantSpec(learned=True)]
FIXED = [ConstantSpec(), ZerosSpec(), RandomSpec(), OneHotSpec(), UniformSpec(), RampSpec()]


@pytest.mark.parametrize("spec", [*LEARNED, *FIXED], ids=lambda spec: spec.kind)
def test_a_start_has_the_shape_it_was_built_with(spec: InitializerSpec):
    """Without a batch dimension, and saved with the model under `value`."""
    start = spec.build((2, 5))
    assert start().shape == (2, 5)
    assert list(start.state_dict()) == ["value"]
    assert start.double()().dtype == torch.float64


@pytest.mark.parametrize("spec", WEIGHTINGS, ids=lambda spec: spec.kind)
def test_starts_of_weightings_are_weightings(spec: InitializerSpec):
    """Non-negative, and each head's sums to 1."""
    value = spec.build((3, 7))()
    assert bool((value >= 0).all())
    torch.testing.assert_close(value.sum(-1), torch.ones(3))


@pytest.mark.parametrize("spec", LEARNED, ids=lambda spec: spec.kind)
def test_learned_starts_are_parameters(spec: InitializerSpec):
    """Training changes them."""
    start = spec.build((2, 5))
    assert isinstance(start, Learned)
    start()[0, 0].backward()
    assert start.value.grad is not None


@pytest.mark.parametrize("spec", FIXED, ids=lambda spec: spec.kind)
def test_fixed_starts_are_buffers(spec: InitializerSpec):
    """Training leaves them alone."""
    start = spec.build((2, 5))
    assert isinstance(start, Fixed)
    assert not list(start.parameters())


def test_starts_hold_what_they_say():
    """Constants, a hot slot, the ramp, and the default scale of random starts."""
    assert torch.equal(ConstantSpec(value=0.25).build((2, 3))(), torch.full((2, 3), 0.25))
    assert torch.equal(OneHotSpec(slot=1).build((2, 3))(), torch.tensor([[0.0, 1.0, 0.0]] * 2))
    torch.testing.assert_close(RampSpec().build((1, 3))()[0], torch.softmax(torch.tensor([3.0, 2.0, 1.0]), -1))
    drawn = RandomSpec().build((50, 14))()
    assert float(drawn.abs().max()) <= 1 / math.sqrt(64)
    assert float(drawn.abs().max()) > 0.9 / math.sqrt(64)
    normal = RandomSpec(distribution="normal", scale=2.0).build((100, 100))()
    assert abs(float(normal.std()) - 2) < 0.1
    assert bool((LearnedSpec(scale=5.0, activation="tanh").build((9, 9))().abs() <= 1).all())


def test_a_slot_that_the_memory_does_not_have_is_refused():
    """The message counts."""
    with pytest.raises(ValueError, match="there is no slot 6: the memory has 6, counted from 0"):
        OneHotSpec(slot=6).check(SMALL)
    OneHotSpec(slot=5).check(SMALL)
