"""The copy task (Graves et al. 2014, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, alike, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs import CopySpec


class Copy(BitTask):
    """Episodes of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: CopySpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, bits + flags), targets (time, batch, bits + marker).

        Raises:
            ValueError: an axis other than `length`, or a length below 1.
        """
        spec = self.spec
        refuse_unknown_axes(spec, axes)
        lengths = draw_sizes(spec.length, stream, batch, "length", axes)
        longest = max(lengths)
        # As many random bits for every episode: the stream must not depend on how they are laid out.
        bits = torch.randint(0, 2, (longest, batch, spec.bits), generator=stream).to(torch.get_default_dtype())
        if spec.zero_vectors:
            bits *= torch.rand(longest, batch, 1, generator=stream) >= spec.zero_vectors
        first, marker = int(spec.start_flag), int(spec.end_marker)
        total = first + 2 * longest + 1 + marker
        inputs, outputs = spec.sizes()
        seen, wanted = torch.zeros(total, batch, inputs), torch.zeros(total, batch, outputs)
        mask = torch.zeros(total, batch, dtype=torch.bool)
        _fill(spec, lengths, bits.numpy(), seen.numpy(), wanted.numpy(), mask.numpy())
        ends = torch.tensor([first + 2 * length + 1 + marker for length in lengths]) if min(lengths) < longest else None
        return Episodes(seen, wanted, mask, ends)


def _fill(spec: CopySpec, lengths: Sequence[int], bits: Array, seen: Array, wanted: Array, mask: Array) -> None:
    """Write the episodes into zeros: NumPy fills a few numbers at a time in a fraction of the time that torch takes."""
    first = int(spec.start_flag)
    if spec.start_flag:
        seen[0, :, spec.bits + 1] = 1
    for episodes, length in alike(lengths):
        delimiter = first + length
        end = delimiter + 1 + length
        seen[first:delimiter, episodes, : spec.bits] = bits[:length, episodes]
        seen[delimiter, episodes, spec.bits] = 1
        wanted[delimiter + 1 : end, episodes, : spec.bits] = bits[:length, episodes]
        if spec.end_marker:
            wanted[end, episodes, spec.bits] = 1
        mask[delimiter + 1 : end + spec.end_marker, episodes] = True
