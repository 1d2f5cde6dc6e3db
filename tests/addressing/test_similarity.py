from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.addressing.similarity import Cosine, row_norms
from ntm_toolkit.addressing.specs import CosineSpec
from tests.examples import drawn, memory_view
from tests.reference.ntm import cosine

places = pytest.mark.parametrize("place", ["denominator", "maximum", "squares", "operands"])


@places
@given(st.sampled_from([0.0, 1e-8, 1e-3, 0.5]), st.integers(0, 99))
def test_cosine_is_the_equation(place: str, epsilon: float, seed: int):
    """k . M(i) / (|k| |M(i)|) of each key and slot, with the epsilon in its place."""
    keys, rows = drawn(2, 2, 3, seed=seed), drawn(2, 4, 3, seed=seed + 1)
    result = Cosine(CosineSpec(epsilon=epsilon, epsilon_in=place))(keys, memory_view(rows))
    expected = [
        [[cosine(key, row, epsilon, place) for row in rows[sequence]] for key in keys[sequence]]
        for sequence in range(2)
    ]
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


@places
def test_cosine_without_epsilon_is_the_angles(place: str):
    """It does not depend on lengths, is 1 for the same direction and -1 for the opposite one."""
    rows = drawn(1, 4, 3)
    similarity = Cosine(CosineSpec(epsilon=0.0, epsilon_in=place))
    same, opposite = similarity(3 * rows, memory_view(rows)), similarity(-0.1 * rows, memory_view(rows))
    torch.testing.assert_close(same.diagonal(dim1=1, dim2=2), torch.ones(1, 4, dtype=torch.float64))
    torch.testing.assert_close(opposite, -same)
    assert bool((same.abs() <= 1 + 1e-12).all())


@places
def test_zero_vectors_are_like_nothing_and_make_no_nan(place: str):
    """An empty slot and an empty key have a finite similarity and finite gradients, in float32."""
    keys, rows = torch.zeros(1, 2, 3, requires_grad=True), torch.zeros(1, 4, 3, requires_grad=True)
    result = Cosine(CosineSpec(epsilon=1e-6, epsilon_in=place))(keys, memory_view(rows))
    assert bool(result.isfinite().all())
    for gradient in torch.autograd.grad(result.sum(), [keys, rows]):
        assert bool(gradient.isfinite().all())


def test_the_default_epsilon_keeps_the_similarity_of_a_fresh_memory():
    """Rows of 1e-6 at width 20 have norm 4.5e-6, which 1e-8 leaves visible and 1e-3 does not."""
    rows, keys = torch.full((1, 2, 20), 1e-6), torch.ones(1, 1, 20)
    assert Cosine(CosineSpec())(keys, memory_view(rows))[0, 0, 0] > 0.99
    assert Cosine(CosineSpec(epsilon=1e-3))(keys, memory_view(rows))[0, 0, 0] < 0.02


@pytest.mark.parametrize("place", ["denominator", "maximum"])
def test_row_norms_are_computed_once_for_each_version(place: str):
    """Two similarities over one memory share what they need of its rows."""
    memory = memory_view(drawn(1, 4, 3))
    similarity = Cosine(CosineSpec(epsilon_in=place))
    first, second = similarity(drawn(1, 1, 3), memory), similarity(drawn(1, 1, 3), memory)
    assert torch.equal(first, second)
    assert memory.derived(row_norms) is memory.derived(row_norms)
    torch.testing.assert_close(memory.derived(row_norms), memory.rows.square().sum(-1).sqrt())
