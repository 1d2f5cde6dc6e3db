"""Sparse normalizers against the papers' definitions, solved by bisection, and their laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_swaps.sparse import Entmax15, Sparsemax, TopK
from ntm_swaps.specs import TopKSpec
from torch import Tensor

from ntm_toolkit.parts import Normalizer

SPARSE: list[Normalizer] = [Sparsemax(), Entmax15()]
ALL = [*SPARSE, TopK(TopKSpec(k=1))]
each_sparse = pytest.mark.parametrize("normalizer", SPARSE, ids=lambda n: type(n).__name__)
each = pytest.mark.parametrize("normalizer", ALL, ids=lambda n: type(n).__name__)
drawn_scores = given(
    seed=st.integers(0, 2**32), slots=st.integers(1, 40), scale=st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0, 1e3, 1e30])
)


def scores_of(seed: int, slots: int, scale: float, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(2, 3, slots, generator=generator, dtype=torch.float64) * scale).to(dtype)


def reference(normalizer: Normalizer, scores: list[float]) -> list[float]:
    """p(i) = max(x(i) - tau, 0)^e, with the tau at which p sums to 1, between max x - 1 and max x, by bisection."""
    exponent = 1 if isinstance(normalizer, Sparsemax) else 2
    x = [score / exponent for score in scores]
    low, high = max(x) - 1, max(x)
    for _ in range(100):
        tau = (low + high) / 2
        if sum(max(value - tau, 0.0) ** exponent for value in x) >= 1:
            low = tau
        else:
            high = tau
    return [max(value - low, 0.0) ** exponent for value in x]


@each_sparse
@given(seed=st.integers(0, 2**32), slots=st.integers(1, 12), scale=st.sampled_from([0.0, 0.3, 1.0, 5.0, 1e3]))
def test_the_weighting_is_the_papers(normalizer: Normalizer, seed: int, slots: int, scale: float) -> None:
    """The exact weighting equals the definition's, found by bisection."""
    scores = scores_of(seed, slots, scale)
    expected = [[reference(normalizer, row.tolist()) for row in heads] for heads in scores]
    torch.testing.assert_close(normalizer(scores), torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0)


@each_sparse
@given(seed=st.integers(0, 2**32), slots=st.integers(1, 12), scale=st.sampled_from([0.3, 1.0, 5.0]))
def test_the_jacobian_is_the_papers(normalizer: Normalizer, seed: int, slots: int, scale: float) -> None:
    """dp/dz = diag(s) - s s^T / sum(s), with s = 1 on the support for sparsemax and sqrt(p) for entmax 1.5."""
    scores = scores_of(seed, slots, scale)[0, 0]
    weighting = normalizer(scores)
    s = (weighting > 0).double() if isinstance(normalizer, Sparsemax) else weighting.sqrt()
    expected = torch.diag(s) - torch.outer(s, s) / s.sum()
    jacobian = torch.autograd.functional.jacobian(normalizer, scores)
    torch.testing.assert_close(jacobian, expected, atol=1e-9, rtol=1e-6)


@each
@drawn_scores
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_become_a_weighting(
    normalizer: Normalizer, seed: int, slots: int, scale: float, dtype: torch.dtype
) -> None:
    """It is non-negative and sums to 1 at any size of scores, in either dtype."""
    weighting = normalizer(scores_of(seed, slots, scale, dtype))
    assert weighting.dtype == dtype
    assert bool((weighting >= 0).all())
    torch.testing.assert_close(weighting.sum(-1), torch.ones(2, 3, dtype=dtype), atol=1e-5, rtol=0)


@each
@drawn_scores
def test_slots_have_no_order(normalizer: Normalizer, seed: int, slots: int, scale: float) -> None:
    """Scores in another order give the same weights in that order."""
    scores = scores_of(seed, slots, scale)
    order = torch.randperm(slots, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(normalizer(scores[..., order]), normalizer(scores)[..., order])


@each
@drawn_scores
def test_heads_and_batch_elements_are_independent(normalizer: Normalizer, seed: int, slots: int, scale: float) -> None:
    """Each row of scores is normalised as if it were alone."""
    scores = scores_of(seed, slots, scale)
    together = normalizer(scores)
    for b in range(2):
        for h in range(3):
            torch.testing.assert_close(together[b, h], normalizer(scores[b : b + 1, h : h + 1])[0, 0])


@each_sparse
def test_a_higher_score_never_weighs_less_and_a_far_lower_one_nothing(normalizer: Normalizer) -> None:
    """Weights go up with scores, and are exactly 0 a little below the highest."""
    weighting = normalizer(torch.linspace(-4, 4, 33))
    assert bool((weighting.diff() >= 0).all())
    assert weighting[0] == 0
    assert weighting[-1] > 0


@each
def test_equal_scores_weigh_equally(normalizer: Normalizer) -> None:
    """A memory not yet written to is looked at evenly, by top-k too, as all slots tie."""
    torch.testing.assert_close(normalizer(torch.full((1, 1, 8), 3.0)), torch.full((1, 1, 8), 1 / 8))


@each
def test_scores_of_minus_infinity_get_nothing(normalizer: Normalizer) -> None:
    """A slot that was ruled out has weight 0, and the others' gradient stays finite."""
    scores = torch.tensor([[[0.1, -math.inf, 0.2]]], requires_grad=True)
    weighting = normalizer(scores)
    assert weighting[0, 0, 1] == 0
    (gradient,) = torch.autograd.grad(weighting[0, 0, 0], scores)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("normalizer", [*SPARSE, TopK(TopKSpec(k=3))], ids=lambda n: type(n).__name__)
def test_gradients_are_those_of_finite_differences(normalizer: Normalizer) -> None:
    """gradcheck passes away from the points where the support changes."""
    scores = scores_of(0, 7, 0.5).requires_grad_()
    torch.autograd.gradcheck(normalizer, (scores,))


@given(seed=st.integers(0, 2**32), slots=st.integers(1, 20), data=st.data())
def test_top_k_is_softmax_over_the_k_highest(seed: int, slots: int, data: st.DataObject) -> None:
    """The k highest weigh as softmax over them alone; all others weigh 0."""
    k = data.draw(st.integers(1, slots))
    scores = scores_of(seed, slots, 1.0)
    weighting = TopK(TopKSpec(k=k))(scores)
    highest = scores.sort(-1, descending=True).indices[..., :k]
    torch.testing.assert_close(weighting.gather(-1, highest), torch.softmax(scores.gather(-1, highest), -1))
    assert bool(((weighting > 0).sum(-1) == k).all())
