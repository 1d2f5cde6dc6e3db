"""Similarities against their definitions, element by element."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_swaps.similarity import DotProduct, NegativeDistance, squared_row_norms
from torch import Tensor

from ntm_toolkit.parts import Similarity, View

ViewOf = Callable[[Tensor, Tensor], View]
BOTH = [DotProduct(), NegativeDistance()]


def reference(similarity: Similarity, key: Tensor, row: Tensor) -> float:
    if isinstance(similarity, DotProduct):
        return sum(float(k) * float(m) for k, m in zip(key, row, strict=True))
    return -sum((float(k) - float(m)) ** 2 for k, m in zip(key, row, strict=True))


@pytest.mark.parametrize("similarity", BOTH, ids=["dot-product", "negative-distance"])
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 3), heads=st.integers(1, 3), slots=st.integers(1, 6))
def test_each_score_is_that_of_one_key_and_one_slot(
    view_of: ViewOf, similarity: Similarity, seed: int, batch: int, heads: int, slots: int
) -> None:
    """scores[b, h, i] depends on keys[b, h] and memory[b, i] alone, and is their similarity."""
    torch.manual_seed(seed)
    keys, rows = torch.randn(batch, heads, 4).double(), torch.randn(batch, slots, 4).double()
    scores = similarity(keys, view_of(rows, keys).memory)
    expected = [[[reference(similarity, key, row) for row in rows[b]] for key in keys[b]] for b in range(batch)]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("similarity", BOTH, ids=["dot-product", "negative-distance"])
def test_gradients_are_those_of_finite_differences(view_of: ViewOf, similarity: Similarity) -> None:
    """Keys and memory both receive the right gradient."""
    keys = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda k, m: similarity(k, view_of(m, k).memory), (keys, rows))


def test_negative_distance_is_0_at_the_key_and_below_elsewhere(view_of: ViewOf) -> None:
    """The slot that holds the key itself matches best, however long the others are."""
    key = torch.tensor([[[1.0, 2.0]]])
    rows = torch.tensor([[[1.0, 2.0], [10.0, 20.0], [0.0, 0.0]]])
    scores = NegativeDistance()(key, view_of(rows, key).memory)
    assert scores.tolist() == [[[0.0, -405.0, -5.0]]]


def test_row_norms_are_computed_once_for_a_version_of_the_memory(view_of: ViewOf) -> None:
    """A second group that looks at the same memory finds what the first one derived from it."""
    keys = torch.randn(1, 1, 3)
    memory = view_of(torch.randn(1, 4, 3), keys).memory
    NegativeDistance()(keys, memory)
    assert memory.derived(squared_row_norms) is memory.derived(squared_row_norms)
