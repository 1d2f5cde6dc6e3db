"""The steps of a batch of sequences, or a segment of them, carried out by a kernel: tile by tile, on some threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.kernel import Kernel, address, pointers
from ntm_toolkit.runtime.fused.threads import each


@dataclass(frozen=True)
class Segment:
    """Some steps of a sequence.

    Attributes:
        start: the first.
        count: how many.
        lengths: (batch,) how many of them each sequence takes.
    """

    start: int
    count: int
    lengths: Tensor


@dataclass(frozen=True)
class Gradients:
    """What a backward pass fills or adds to; all but `rows` are kept from one segment to the one before it.

    Attributes:
        carry: (tiles, 3, n, lanes): the gradient of the state, and room for two more of them.
        inputs: (time, batch, n).
        rows: for each row, (steps of a segment, batch, n).
        sums: (tiles, n, lanes), what is summed over steps for each sample.
    """

    carry: Tensor
    inputs: Tensor
    rows: Sequence[Tensor]
    sums: Tensor


@dataclass(frozen=True)
class Execution:
    """A kernel and what it reads.

    Args:
        kernel: the step.
        shared: what all samples share, as the kernel's signature lists it; contiguous, like all that follows.
        given: (time, batch, ...), likewise.
        lengths: (batch,) of int64.
        ragged: whether any of these is shorter than the input.
    """

    kernel: Kernel
    shared: Sequence[Tensor]
    given: Sequence[Tensor]
    lengths: Tensor
    ragged: bool

    @property
    def time(self) -> int:
        """How many steps the longest sequence may take."""
        return self.given[0].shape[0]

    @property
    def batch(self) -> int:
        """How many sequences there are."""
        return self.given[0].shape[1]

    @property
    def tiles(self) -> int:
        """How many tiles they fill."""
        return -(-self.batch // self.kernel.lanes)

    def segments(self, longest: int) -> list[Segment]:
        """Return the steps in segments."""
        if longest >= self.time:
            return [Segment(0, self.time, self.lengths)]
        return [
            Segment(start, count, (self.lengths - start).clamp(0, count))
            for start in range(0, self.time, longest)
            for count in [min(longest, self.time - start)]
        ]

    def slots(self, count: int, size: int) -> tuple[int, int, int, int]:
        """Return the shape of `count` slots of `size` numbers of a sample."""
        return (self.tiles, count, size, self.kernel.lanes)

    def forward(
        self, segment: Segment, states: Tensor, tape: Tensor, features: Sequence[Tensor], work: Tensor, *, keep: bool
    ) -> Tensor:
        """Carry a segment out, and return the state after it, (tiles, n, lanes).

        Args:
            segment: which steps.
            states: slots, the first of which holds the state before the segment; two of them unless they are kept.
            tape: slots; one unless they are kept.
            features: what is filled, from the segment's first step on.
            work: (tiles, n, lanes).
            keep: whether the states and the tape of every step are kept, for `backward`.
        """
        kernel, signature = self.kernel, self.kernel.signature
        count, batch, lanes, where = segment.count, self.batch, kernel.lanes, address(segment.lengths)
        shared = pointers(self.shared, signature.slots, signature.places)
        given = pointers(self.given, signature.given_slots, signature.entries, segment.start)
        filled = pointers(features)
        of_tile = [[address(tensor, tile) for tensor in (states, tape, work)] for tile in range(self.tiles)]

        def tile(number: int) -> None:
            state, taped, space = of_tile[number]
            kernel.forward(count, batch, number * lanes, where, keep, shared, given, state, taped, filled, space)

        each(self.tiles, tile)
        return self._last(segment, states, keep)

    def backward(
        self,
        segment: Segment,
        states: Tensor,
        tape: Tensor,
        features: Sequence[Tensor],
        gradients: Gradients,
        work: Tensor,
    ) -> None:
        """Carry a segment out backward.

        Args:
            segment: which steps.
            states: what `forward` kept.
            tape: what `forward` kept.
            features: the gradients of the features, from the segment's first step on.
            gradients: what is filled or added to.
            work: (tiles, n, lanes).
        """
        kernel, signature, start = self.kernel, self.kernel.signature, segment.start
        count, batch, lanes, where = segment.count, self.batch, kernel.lanes, address(segment.lengths)
        shared = pointers(self.shared, signature.slots, signature.places)
        given = pointers(self.given, signature.given_slots, signature.entries, start)
        of_features, rows = pointers(features), pointers(gradients.rows)
        inputs = address(gradients.inputs, start)
        by_tile = (states, tape, gradients.carry, gradients.sums, work)
        of_tile = [[address(tensor, tile) for tensor in by_tile] for tile in range(self.tiles)]

        def tile(number: int) -> None:
            state, taped, carry, sums, space = of_tile[number]
            kernel.backward(
                count, batch, number * lanes, where, shared, given, state, taped, of_features, carry, inputs, rows,
                sums, space,
            )  # fmt: skip

        each(self.tiles, tile)

    def _last(self, segment: Segment, states: Tensor, keep: bool) -> Tensor:
        """Return the slot in which each tile ended: that after the steps of its longest sequence."""
        if not self.ragged:
            return states[:, segment.count if keep else segment.count % 2]
        lengths = segment.lengths
        padded = torch.cat([lengths, lengths.new_zeros(self.tiles * self.kernel.lanes - self.batch)])
        longest = padded.view(self.tiles, -1).amax(1)
        return states[torch.arange(self.tiles), longest if keep else longest % 2]
