"""Priority sort (Graves et al. 2014, section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import alike, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs import PrioritySortSpec


class PrioritySort(BitTask):
    """Episodes of one batch may differ in their items; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: PrioritySortSpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, bits + 2), targets (time, batch, bits).

        Input channels are the bits, the priority and the delimiter.

        Raises:
            ValueError: an axis other than `items` and `kept`, one below 1, or more kept than there are items.
        """
        spec = self.spec
        refuse_unknown_axes(spec, axes)
        sizes = draw_sizes(spec.items, stream, batch, "items", axes)
        kept = self._kept(axes)
        longest = max(sizes)
        total = longest + 1 + min(kept, longest)
        vectors = torch.randint(0, 2, (longest, batch, spec.bits), generator=stream).numpy()
        priorities = torch.rand(longest, batch, generator=stream).numpy() * 2 - 1
        seen, wanted = torch.zeros(total, batch, spec.bits + 2), torch.zeros(total, batch, spec.bits)
        mask = torch.zeros(total, batch, dtype=torch.bool)
        inputs, targets, scored = seen.numpy(), wanted.numpy(), mask.numpy()
        for episodes, items in alike(sizes):
            end = items + 1 + min(kept, items)
            inputs[:items, episodes, : spec.bits] = vectors[:items, episodes]
            inputs[:items, episodes, spec.bits] = spec.priority_scale * priorities[:items, episodes]
            inputs[items, episodes, spec.bits + 1] = 1
            # Stable, so that of two items of one priority the first comes first on every machine.
            order = np.argsort(-priorities[:items, episodes], axis=0, kind="stable")[:kept]
            # All bits of a vector are taken by the same index, so that it moves as a whole.
            ranked = np.take_along_axis(vectors[:items, episodes], order[:, :, None], axis=0)
            targets[items + 1 : end, episodes] = ranked
            scored[items + 1 : end, episodes] = True
        ends = torch.tensor([items + 1 + min(kept, items) for items in sizes]) if min(sizes) < longest else None
        return Episodes(seen, wanted, mask, ends)

    def _kept(self, axes: Mapping[str, int]) -> int:
        kept = axes.get("kept", self.spec.kept)
        if kept < 1:
            raise ValueError(f"axis 'kept' is at least 1; got {kept}")
        fewest = axes.get("items", self.spec.items.min)
        if "kept" in axes and kept > fewest:
            raise ValueError(f"no more vectors go out than come in: kept is {kept}, and items may be {fewest}")
        return kept
