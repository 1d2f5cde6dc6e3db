"""Associative recall (Graves et al. 2014, section 4.3)."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, alike, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs import AssociativeRecallSpec


class AssociativeRecall(BitTask):
    """Episodes of one batch may differ in their items; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: AssociativeRecallSpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, bits + 2), targets (time, batch, bits).

        Input channels are the bits, the delimiter before each item and the delimiter around the query.

        Raises:
            ValueError: an axis other than `items`, or fewer than 2 of them.
        """
        spec = self.spec
        refuse_unknown_axes(spec, axes)
        items = draw_sizes(spec.items, stream, batch, "items", axes, least=2)
        places = torch.rand(batch, generator=stream, dtype=torch.float64).tolist()
        queries = [int(place * (count - 1)) for place, count in zip(places, items, strict=True)]
        # As many random bits for every episode: the stream must not depend on how they are laid out.
        bits = torch.randint(0, 2, (max(items), spec.vectors, batch, spec.bits), generator=stream).numpy()
        listed, block, size = _listed(bits), spec.vectors + 1, spec.bits
        total = spec.longest(items=max(items))
        seen, wanted = torch.zeros(total, batch, size + 2), torch.zeros(total, batch, size)
        mask = torch.zeros(total, batch, dtype=torch.bool)
        inputs, targets, scored = seen.numpy(), wanted.numpy(), mask.numpy()
        for episodes, (count, query) in alike(list(zip(items, queries, strict=True))):
            opens = count * block
            closes = opens + block
            end = closes + block
            inputs[:opens, episodes] = listed[:opens, episodes]
            inputs[opens, episodes, size + 1] = inputs[closes, episodes, size + 1] = 1
            inputs[opens + 1 : closes, episodes, :size] = bits[query, :, episodes]
            targets[closes + 1 : end, episodes] = bits[query + 1, :, episodes]
            scored[closes + 1 : end, episodes] = True
        ends = torch.tensor([spec.longest(items=count) for count in items]) if min(items) < max(items) else None
        return Episodes(seen, wanted, mask, ends)


def _listed(bits: Array) -> Array:
    """Return what is seen of items (items, vectors, batch, bits), delimiters and all: (steps, batch, bits + 2)."""
    items, vectors, batch, size = bits.shape
    listed = np.zeros((items, vectors + 1, batch, size + 2), dtype=np.float32)
    listed[:, 0, :, size] = 1
    listed[:, 1:, :, :size] = bits
    return listed.reshape(items * (vectors + 1), batch, size + 2)
