from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.addressing.specs import InterpolateSpec
from tests.examples import dims_of, drawn, view, weighting
from tests.reference.ntm import interpolated


def between(gate: torch.Tensor, w: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    rows = drawn(w.shape[0], w.shape[-1], 2)
    stage = InterpolateSpec().build(dims_of(rows, w.shape[1]))
    result: torch.Tensor = stage(w, {"gate": gate}, view(rows, previous))
    return result


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99))
def test_interpolation_is_the_papers_equation(batch: int, heads: int, slots: int, seed: int):
    """g w + (1 - g) w_{t-1}, each head with a gate of its own."""
    w, previous = weighting(batch, heads, slots, seed=seed), weighting(batch, heads, slots, seed=seed + 1)
    gate = torch.sigmoid(drawn(batch, heads, 1, seed=seed + 2))
    result = between(gate, w, previous)
    for sequence in range(batch):
        for head in range(heads):
            at = (sequence, head)
            expected = torch.stack(interpolated(gate[at][0], list(w[at]), list(previous[at])))
            torch.testing.assert_close(result[at], expected)


def test_a_closed_gate_brings_back_the_step_before():
    """g = 0 is w_{t-1} and g = 1 is w, both exactly."""
    w, previous, gate = weighting(1, 2, 5), weighting(1, 2, 5, seed=1), torch.zeros(1, 2, 1, dtype=torch.float64)
    assert torch.equal(between(gate, w, previous), previous)
    assert torch.equal(between(gate + 1, w, previous), w)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99))
def test_another_groups_weighting(batch: int, heads: int, others: int, slots: int, seed: int):
    """As many heads are taken one by one; otherwise each head is mixed with the mean of the others."""
    w, there = weighting(batch, heads, slots, seed=seed), weighting(batch, others, slots, seed=seed + 1)
    gate = torch.sigmoid(drawn(batch, heads, 1, seed=seed + 2))
    rows, own = drawn(batch, slots, 2), weighting(batch, heads, slots, seed=seed + 3)
    spec = InterpolateSpec(group="read")
    assert spec.needs().groups == ("read",)
    result = spec.build(dims_of(rows, heads))(w, {"gate": gate}, view(rows, own, groups={"read": there, "write": own}))
    expected = there if others == heads else there.sum(dim=1, keepdim=True).div(others).expand(-1, heads, -1)
    torch.testing.assert_close(result, gate * w + (1 - gate) * expected)
