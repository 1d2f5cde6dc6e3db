"""Normalizers that give some slots exactly nothing: sparsemax, entmax 1.5 and top-k softmax.

Sparsemax (Martins & Astudillo 2016) and entmax 1.5 (Peters et al. 2019) are p(i) = max(x(i) - tau, 0)^e, where tau is
such that p sums to 1; which slots are in the support is found by sorting. The support is constant around almost
every point, so tau is then computed once more from it alone: plain autograd of that is the papers' Jacobian.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ntm_swaps.specs import TopKSpec
from ntm_toolkit.parts import Normalizer


class Sparsemax(Normalizer):
    """p = max(z - tau, 0), with tau = (sum of the support's z - 1) / |support|."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return the weighting (batch, heads, slots) of scores of that shape."""
        z = _below_their_maximum(scores)
        support = sparsemax_support(z.detach()).to(z.dtype)
        tau = ((z * support).sum(-1, keepdim=True) - 1) / support.sum(-1, keepdim=True)
        return torch.relu(z - tau)


class Entmax15(Normalizer):
    """p = max(z / 2 - tau, 0)^2, with tau = mean - sqrt((1 - sum of squared deviations) / |support|)."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return the weighting (batch, heads, slots) of scores of that shape."""
        x = _below_their_maximum(scores / 2)
        support = entmax15_support(x.detach()).to(x.dtype)
        size = support.sum(-1, keepdim=True)
        mean = (x * support).sum(-1, keepdim=True) / size
        deviations = ((x - mean).square() * support).sum(-1, keepdim=True)
        # The root's argument is at least 1 / size^2 on a true support, so its gradient is finite.
        return torch.relu(x - mean + ((1 - deviations) / size).sqrt()).square()


class TopK(Normalizer):
    """exp(s(i)) / sum_j exp(s(j)) over the k highest scores, 0 elsewhere."""

    def __init__(self, spec: TopKSpec) -> None:
        super().__init__()
        self.k = spec.k

    def forward(self, scores: Tensor) -> Tensor:
        """Return the weighting (batch, heads, slots) of scores of that shape."""
        least = scores.detach().topk(self.k, dim=-1).values[..., -1:]
        return torch.softmax(scores.masked_fill(scores < least, float("-inf")), dim=-1)


def sparsemax_support(z: Tensor) -> Tensor:
    """Return which elements are in the support: the largest k with 1 + k z_(k) > z_(1) + .. + z_(k)."""
    descending = z.sort(dim=-1, descending=True).values
    size = (1 + _ranks(z) * descending > descending.cumsum(-1)).sum(-1, keepdim=True)
    return z >= descending.gather(-1, size - 1)


def entmax15_support(x: Tensor) -> Tensor:
    """Return which elements are in the support: the largest k whose tau, of the k largest, is at most x_(k)."""
    descending, k = x.sort(dim=-1, descending=True).values, _ranks(x)
    mean = descending.cumsum(-1) / k
    variance = descending.square().cumsum(-1) / k - mean.square()
    tau = mean - (1 / k - variance).clamp_min(0).sqrt()
    size = (tau <= descending).sum(-1, keepdim=True)
    return x >= descending.gather(-1, size - 1)


def _ranks(like: Tensor) -> Tensor:
    return torch.arange(1, like.shape[-1] + 1, dtype=like.dtype, device=like.device)


def _below_their_maximum(scores: Tensor) -> Tensor:
    """Return the scores less their greatest, at least -1: as weights are at most 1, nothing below is in a support.

    Both weightings depend on differences only, so no gradient flows through the maximum. The bound keeps sums exact
    where scores are huge, or -inf.
    """
    return (scores - scores.detach().amax(-1, keepdim=True)).clamp_min(-1)
