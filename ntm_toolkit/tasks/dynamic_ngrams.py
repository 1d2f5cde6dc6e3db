"""Dynamic N-grams, with the optimal predictor (Graves et al. 2014, section 4.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs import DynamicNGramsSpec

_FEW = 32
"""Episodes up to which plain Python draws the bits in less time than NumPy does."""


class DynamicNGrams(BitTask):
    """Episodes of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`.

    Metrics are `bits_per_sequence`, the cross-entropy in bits, summed over scored bits, and `bits_above_optimum`, this
    less what the optimal predictor pays on the same sequence: its mean is known far better than that of the first, as
    what differs from sequence to sequence is mostly how well the sequence can be predicted at all.
    """

    def __init__(self, spec: DynamicNGramsSpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs and targets (time, batch, 1): the bit before, and the bit.

        Raises:
            ValueError: an axis other than `length`, or a length that leaves no bit after the prefix.
        """
        spec = self.spec
        refuse_unknown_axes(spec, axes)
        lengths = draw_sizes(spec.length, stream, batch, "length", axes, least=spec.context + 1)
        longest = max(lengths)
        contexts = 2**spec.context
        draws = torch.rand(contexts + longest, batch, generator=stream, dtype=torch.float64).numpy()
        # The quantile function of Beta(1/2, 1/2), the arcsine distribution.
        table = np.sin(math.pi / 2 * draws[:contexts]) ** 2
        bits = _bits(spec.context, table, draws[contexts:])
        steps, first = np.arange(longest)[:, None], 0 if spec.score_prefix else spec.context
        mask = (steps >= first) & (steps < np.asarray(lengths))
        seen, wanted = torch.zeros(longest, batch, 1), torch.zeros(longest, batch, 1)
        np.multiply(bits, mask, out=wanted.numpy()[:, :, 0], casting="unsafe")
        np.multiply(bits[:-1], steps[1:] < np.asarray(lengths), out=seen.numpy()[1:, :, 0], casting="unsafe")
        ends = torch.tensor(lengths) if min(lengths) < longest else None
        return Episodes(seen, wanted, torch.from_numpy(mask), ends)

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return bits_per_sequence and bits_above_optimum, each (batch,)."""
        bits = super().metrics(outputs, episodes)["bits_per_sequence"]
        return {"bits_per_sequence": bits, "bits_above_optimum": bits - self._optimum(episodes)}

    def chance(self, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return what a guesser that gives every bit probability 1/2 reaches, (batch,)."""
        bits = super().chance(episodes)["bits_per_sequence"]
        return {"bits_per_sequence": bits, "bits_above_optimum": bits - self._optimum(episodes)}

    def oracle(self, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return what P(1 | context) = (N1 + 1/2) / (N0 + N1 + 1) pays, where N counts bits after that context so far.

        The prefix costs it one bit each, where it is scored. No predictor pays less on average (the paper's eq. 10).
        """
        return {"bits_per_sequence": self._optimum(episodes)}

    def _optimum(self, episodes: Episodes) -> Tensor:
        """Return the optimal predictor's bits, (batch,).

        Its probabilities of the bits after one context multiply to Gamma(n0 + 1/2) Gamma(n1 + 1/2) / (pi n!) in
        whatever order they came, so that it takes only how often each came in the end, n = n0 + n1.
        """
        context, targets = self.spec.context, episodes.targets
        batch = targets.shape[1]
        counts = self._counts(episodes).view(batch, 2**context, 2).to(targets.dtype)
        nats = math.log(math.pi) + torch.lgamma(counts.sum(-1) + 1) - torch.lgamma(counts + 0.5).sum(-1)
        return nats.sum(-1) / math.log(2) + episodes.mask[:context].sum(0)

    def _counts(self, episodes: Episodes) -> Tensor:
        """Return how often 0 and 1 came after each context, flat, in the order (batch, contexts, bit)."""
        context, batch = self.spec.context, episodes.targets.shape[1]
        # At step t the inputs t - context + 1 .. t are the bits before bit t, the oldest first.
        before = episodes.inputs[1:, :, 0].long().unfold(0, context, 1)
        powers = 2 ** torch.arange(context - 1, -1, -1, device=before.device)
        cell = (before * powers).sum(-1) + 2**context * torch.arange(batch, device=before.device)
        cell = 2 * cell + episodes.targets[context:, :, 0].long()
        return torch.bincount(cell[episodes.mask[context:]], minlength=batch * 2 ** (context + 1))


def _bits(context: int, table: Array, draws: Array) -> Array:
    """Return bits (time, batch), each 1 where its draw is below the probability of its context.

    Args:
        context: how many bits before say how likely a 1 is; the oldest of them is worth most.
        table: (contexts, batch), in [0, 1].
        draws: (time, batch), in [0, 1).
    """
    length, batch = draws.shape
    bits = np.empty((length, batch), dtype=np.int64)
    bits[:context] = draws[:context] < 0.5
    powers = 2 ** np.arange(context - 1, -1, -1)
    place = powers @ bits[:context]
    if batch <= _FEW:
        for episode in range(batch):
            bits[context:, episode] = _walk(place[episode].item(), table[:, episode].tolist(), draws[context:, episode])
        return bits
    flat, episodes, kept = table.reshape(-1), np.arange(batch), 2 ** (context - 1) - 1
    for step in range(context, length):
        bit = np.less(draws[step], flat.take(place * batch + episodes), out=bits[step], casting="unsafe")
        place = 2 * (place & kept) + bit
    return bits


def _walk(place: int, table: list[float], draws: Array) -> list[bool]:
    """Return the bits of one episode that begins in the context `place`."""
    bits, kept = [], len(table) // 2 - 1
    for draw in draws.tolist():
        bit = draw < table[place]
        bits.append(bit)
        place = 2 * (place & kept) + bit
    return bits
