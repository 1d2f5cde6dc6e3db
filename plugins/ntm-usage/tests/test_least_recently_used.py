"""Least-recently-used addressing, against the paper's recurrence in loops, and as a stage with state of its own."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_usage.specs import LeastRecentlyUsedSpec
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import LearnedSpec, MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import View
from ntm_toolkit.spec import Dims

ViewOf = Callable[..., View]


def dims(slots: int, heads: int) -> Dims:
    return Dims(1, 1, slots, 2, 1, heads=heads)


def softmax(scores: list[float]) -> list[float]:
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


@given(seed=st.integers(0, 2**32), slots=st.integers(1, 6), heads=st.integers(1, 3), steps=st.integers(1, 5))
def test_behind_content_it_is_the_papers_equation(
    view_of: ViewOf, seed: int, slots: int, heads: int, steps: int
) -> None:
    """w = softmax(z_t - g_t v_{t-1}), v_t = .1 v_{t-1} + .9 z_t, with z the content's scores and v_0 = 0."""
    torch.manual_seed(seed)
    scores = torch.randn(steps, 1, heads, slots, dtype=torch.float64)
    avoidance = torch.rand(steps, 1, heads, 1, dtype=torch.float64)
    spec = LeastRecentlyUsedSpec()
    stage = spec.build(dims(slots, heads))
    state = {"average": torch.zeros(1, heads, slots, dtype=torch.float64)}
    v = [[0.0] * slots for _ in range(heads)]
    for z, g in zip(scores, avoidance, strict=True):
        weighting = torch.softmax(z, -1)
        after, state = stage(weighting, {"avoidance": g}, view_of(weighting), state)
        for h in range(heads):
            row = z[0, h].tolist()
            expected = softmax([row[i] - float(g[0, h, 0]) * v[h][i] for i in range(slots)])
            v[h] = [0.1 * v[h][i] + 0.9 * row[i] for i in range(slots)]
            torch.testing.assert_close(after[0, h].tolist(), expected)


@given(seed=st.integers(0, 2**32), slots=st.integers(1, 8), one_hot=st.booleans())
def test_a_weighting_stays_a_weighting(view_of: ViewOf, seed: int, slots: int, one_hot: bool) -> None:
    """It sums to 1 whatever was before, one-hot weightings included, and its state stays finite."""
    torch.manual_seed(seed)
    weighting = torch.softmax(torch.randn(2, 3, slots), -1)
    if one_hot:
        weighting = torch.nn.functional.one_hot(weighting.argmax(-1), slots).float()
    state = {"average": torch.randn(2, 3, slots) * 10}
    stage = LeastRecentlyUsedSpec().build(dims(slots, 3))
    after, kept = stage(weighting, {"avoidance": torch.rand(2, 3, 1)}, view_of(weighting), state)
    assert bool((after >= 0).all())
    torch.testing.assert_close(after.sum(-1), torch.ones(2, 3))
    assert bool(kept["average"].isfinite().all())
    assert kept["average"].shape == (2, *LeastRecentlyUsedSpec().state(dims(slots, 3))["average"].shape)


@given(seed=st.integers(0, 2**32), slots=st.integers(1, 8))
def test_without_avoidance_it_is_the_identity(view_of: ViewOf, seed: int, slots: int) -> None:
    """At its neutral setting it gives what it was given, whatever its state."""
    torch.manual_seed(seed)
    weighting = torch.softmax(torch.randn(2, 3, slots, dtype=torch.float64), -1)
    spec = LeastRecentlyUsedSpec()
    assert spec.neutral(dims(slots, 3)) == {"avoidance": 0.0}
    fields = {"avoidance": torch.zeros(2, 3, 1, dtype=torch.float64)}
    state = {"average": torch.randn(2, 3, slots, dtype=torch.float64)}
    after, _ = spec.build(dims(slots, 3))(weighting, fields, view_of(weighting), state)
    torch.testing.assert_close(after, weighting)


def test_gradients_are_those_of_finite_differences_and_none_reaches_the_state(view_of: ViewOf) -> None:
    """gradcheck passes for weighting and avoidance; the new average is cut from the graph."""
    logits = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    avoidance = torch.rand(2, 2, 1, dtype=torch.float64, requires_grad=True)
    state = {"average": torch.randn(2, 2, 4, dtype=torch.float64)}
    stage = LeastRecentlyUsedSpec().build(dims(4, 2))

    def avoiding(logits: Tensor, avoidance: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        weighting = torch.softmax(logits, -1)
        after: tuple[Tensor, dict[str, Tensor]] = stage(weighting, {"avoidance": avoidance}, view_of(weighting), state)
        return after

    torch.autograd.gradcheck(lambda *inputs: avoiding(*inputs)[0], (logits, avoidance))
    assert not avoiding(logits, avoidance)[1]["average"].requires_grad


@pytest.fixture(scope="module")
def machine() -> Machine:
    alike = [ContentSpec(), LeastRecentlyUsedSpec()]
    spec = NTMSpec(
        memory=MatrixSpec(slots=6, width=4, start=LearnedSpec()),
        controller=LSTMSpec(size=7),
        heads=[ReadSpec(count=2, addressing=alike), WriteSpec(addressing=alike)],
    )
    return Machine(spec, 3, 2, seed=1).double()


def test_each_group_keeps_an_average_of_its_own(machine: Machine) -> None:
    """Groups with equal addressing share no state, and each has one average for each of its heads."""
    _, state = machine(torch.randn(4, 2, 3, dtype=torch.float64))
    read = state["heads.read.addressing.least-recently-used.average"]
    write = state["heads.write.addressing.least-recently-used.average"]
    assert (tuple(read.shape), tuple(write.shape)) == ((2, 2, 6), (2, 1, 6))
    assert not torch.equal(read[:, :1], write)


def test_carried_state_continues_a_sequence_exactly(machine: Machine) -> None:
    """Two calls with the state carried give what one call gives."""
    inputs = torch.randn(6, 2, 3, dtype=torch.float64)
    whole, _ = machine(inputs)
    first, state = machine(inputs[:2])
    second, _ = machine(inputs[2:], state)
    assert torch.equal(torch.cat([first, second]), whole)
