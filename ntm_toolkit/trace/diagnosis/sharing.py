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

SAME = 0.5
"""Slots by which two places differ at most to be one slot."""

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
        shared = _shared(head, incoming)
        if float(shared.std()) == 0:
            continue
        test = spearmanr(shared.numpy(), errors.numpy())
        correlation, p = float(test.statistic), min(1.0, float(test.pvalue) * len(sharp))
        if correlation < CORRELATED or p >= SIGNIFICANT:
            continue
        pairs, used = float(shared.mean()), _used(head, incoming)
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
                    "one slot then holds two inputs, of which neither is read well; where the head uses few of the "
                    "slots, the memory has room for writes that lie further apart"
                ),
                figures={"pairs": pairs, "rank_correlation": correlation, "p": p, "slots": used},
                heads=(head.name,),
                settings=(setting,),
            )
        )
    return found


def _shared(head: Walk, incoming: Tensor) -> Tensor:
    """Return how many pairs of a sequence's steps of input have the head, sharp, at one slot, (batch,)."""
    half = head.slots / 2
    apart = ((head.place[:, None] - head.place[None] + half) % head.slots - half).abs()
    counts = incoming & (head.breadth <= BROAD)
    same = (apart < SAME) & counts[:, None] & counts[None]
    # Each pair is there twice, and each step once with itself.
    return (same.sum((0, 1)) - counts.sum(0)).double() / 2


def _used(head: Walk, incoming: Tensor) -> int:
    """Return the number of slots that MOST of the head's sharp writes are at."""
    slots = head.place[incoming & (head.breadth <= BROAD)].round().long() % head.slots
    counts = torch.bincount(slots, minlength=head.slots).sort(descending=True).values.double().cumsum(0)
    return int((counts < MOST * counts[-1]).sum()) + 1
