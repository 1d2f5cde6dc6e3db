"""What is recognised in where heads write: slots that two inputs of a sequence come to, where that is what errs.

To come back to a slot may be the algorithm, as where counts are kept; it is named only where the sequences in which it
happens more are those in which more is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ntm_toolkit.trace.diagnosis.heads import BROAD
from ntm_toolkit.trace.diagnosis.symptom import Symptom, at
from ntm_toolkit.trace.diagnosis.walk import Walk

FEWEST_SEQUENCES = 16
"""Sequences from which on it is asked whether those that share more slots have more errors."""

CORRELATED, SIGNIFICANT = 0.3, 0.01
"""Spearman's rank correlation from which on, and the p-value, corrected for the heads, below which it is said so."""

MOST = 0.95
"""The share of its writes that a head must put on some slots for these to be those it uses."""


def slots_that_are_shared(heads: Sequence[Walk], incoming: Tensor, errors: Tensor, setting: str) -> list[Symptom]:
    """Recognise heads that write two inputs of a sequence to one slot, where this explains errors.

    Args:
        heads: where each was.
        incoming: (time, batch), True at the steps before the first scored one.
        errors: of the same sequences, (batch,), in any unit.
        setting: where, in words.
    """
    if len(errors) < FEWEST_SEQUENCES or float(errors.std()) == 0:
        return []
    from scipy.stats import spearmanr

    # The median, as a head may be spread at the steps that are no input, such as a delimiter.
    sharp = [head for head in heads if head.writes and float(head.breadth[incoming].median()) <= BROAD]
    found = []
    for head in sharp:
        visits = _visits(head, incoming)
        shared = (visits * (visits - 1) / 2).sum(1)
        if float(shared.std()) == 0:
            continue
        test = spearmanr(shared.numpy(), errors.numpy())
        correlation, p = float(test.statistic), min(1.0, float(test.pvalue) * len(sharp))
        if correlation < CORRELATED or p >= SIGNIFICANT:
            continue
        pairs, used = float(shared.mean()), _used(visits.sum(0))
        found.append(
            Symptom(
                kind="slots-shared",
                message=(
                    f"{at(setting)}, head '{head.name}' writes to slots it has written to before: {pairs:.1f} pairs of "
                    f"steps a sequence come to one slot, and sequences with more of them have more errors (rank "
                    f"correlation {correlation:.2f}, p = {p:.1g}); {MOST:.0%} of its writes fall on {used} of the "
                    f"{head.slots} slots"
                ),
                hint=(
                    "one slot then has to hold two inputs; where the head uses few of the slots, the memory has room "
                    "for writes that lie further apart"
                ),
                figures={"pairs": pairs, "rank_correlation": correlation, "p": p, "slots": used},
                heads=(head.name,),
                settings=(setting,),
            )
        )
    return found


def _visits(head: Walk, incoming: Tensor) -> Tensor:
    """Return at how many steps of input a head is, sharp, at each slot, (batch, slots)."""
    slots = head.place.round().long() % head.slots
    counts = (incoming & (head.breadth <= BROAD)).double()
    return torch.zeros(slots.shape[1], head.slots, dtype=torch.float64).scatter_add_(1, slots.T, counts.T)


def _used(visits: Tensor) -> int:
    """Return the smallest number of slots that have MOST of the visits (slots,)."""
    most = visits.sort(descending=True).values.cumsum(0)
    return int((most < MOST * most[-1]).sum()) + 1
