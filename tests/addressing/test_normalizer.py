from __future__ import annotations

import torch

from ntm_toolkit.addressing.specs import SoftmaxSpec
from tests.examples import SMALL, drawn


def test_softmax_is_over_the_slots():
    """Every head of every sequence has a weighting of its own that sums to 1."""
    scores = drawn(3, 2, 4)
    result = SoftmaxSpec().build(SMALL)(scores)
    torch.testing.assert_close(result.sum(-1), torch.ones(3, 2, dtype=torch.float64))
    torch.testing.assert_close(result, scores.exp() / scores.exp().sum(-1, keepdim=True))


def test_large_scores_do_not_overflow():
    """All weight is on the largest."""
    result = SoftmaxSpec().build(SMALL)(torch.tensor([[[1e4, 0.0, -1e4]]]))
    assert result.tolist() == [[[1.0, 0.0, 0.0]]]
