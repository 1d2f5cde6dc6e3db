"""Loss and metrics of tasks whose targets are independent bits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ntm_toolkit.parts import Episodes, Task


class BitTask(Task):
    """A task scored by cross-entropy on bits; outputs are logits.

    The loss is the mean over all scored bits of the batch, in nats. Metrics are per sequence: `bits_per_sequence`, the
    cross-entropy in bits, summed over scored bits; `bit_errors`, how many scored bits are wrong when rounded; `exact`,
    1 where none is.
    """

    def loss(self, outputs: Tensor, episodes: Episodes) -> Tensor:
        """Return the mean cross-entropy over scored bits, in nats."""
        scored = self.scored(episodes).to(outputs.dtype)
        nats = functional.binary_cross_entropy_with_logits(outputs, episodes.targets, scored, reduction="sum")
        return nats / (scored.sum() * (outputs.shape[-1] / scored.shape[-1]))

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return bits_per_sequence, bit_errors and exact, each (batch,)."""
        scored = self.scored(episodes)
        nats = functional.binary_cross_entropy_with_logits(
            outputs, episodes.targets, scored.to(outputs.dtype), reduction="none"
        )
        wrong = ((outputs > 0) != (episodes.targets > 0.5)) & scored
        errors = wrong.sum(dim=(0, 2), dtype=outputs.dtype)
        return {
            "bits_per_sequence": nats.sum(dim=(0, 2)) / math.log(2),
            "bit_errors": errors,
            "exact": (errors == 0).to(outputs.dtype),
        }

    def chance(self, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return what a guesser that gives every bit probability 1/2 reaches, (batch,)."""
        bits = self.scored(episodes).expand_as(episodes.targets).sum(dim=(0, 2)).to(episodes.targets.dtype)
        return {"bits_per_sequence": bits, "bit_errors": bits / 2, "exact": torch.pow(2.0, -bits)}
