"""The steps of a batch of sequences carried out by a kernel: tile by tile, on some threads."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.threads import each


@dataclass(frozen=True)
class Gradients:
    """What a backward pass fills.

    Attributes:
        carry: (tiles, 3, n, lanes): the gradient of the state, and room for two more of them.
        inputs: (time, batch, n).
        rows: for each row, (time, batch, n) or (time * batch, n).
        sums: (tiles, n, lanes), to which is added what is summed over steps for each sample.
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

    def slots(self, count: int, size: int) -> tuple[int, int, int, int]:
        """Return the shape of `count` slots of `size` numbers of a sample."""
        return (self.tiles, count, size, self.kernel.lanes)

    def forward(self, states: Tensor, tape: Tensor, features: Sequence[Tensor], work: Tensor, *, keep: bool) -> Tensor:
        """Carry all steps out, and return the state after them, (tiles, n, lanes).

        Args:
            states: slots, the first of which holds the state before; two of them unless they are kept.
            tape: slots; one unless they are kept.
            features: what is filled, each (time, batch, n).
            work: (tiles, n, lanes).
            keep: whether the states and the tape of every step are kept, for `backward`.
        """
        forward, lanes = self.kernel.forward, self.kernel.lanes
        time, batch, lengths = self.time, self.batch, self.lengths.data_ptr()
        arrays = (*self._read(), _addresses(features))
        shared, given, filled = (array.buffer_info()[0] for array in arrays)
        of_tile = _of_tiles(self.tiles, states, tape, work)

        def tile(number: int) -> None:
            state, taped, space = of_tile[number]
            forward(time, batch, number * lanes, lengths, keep, shared, given, state, taped, filled, space)

        each(self.tiles, tile)
        return self._last(states, keep)

    def backward(
        self, states: Tensor, tape: Tensor, features: Sequence[Tensor], gradients: Gradients, work: Tensor
    ) -> None:
        """Carry all steps out backward.

        Args:
            states: what `forward` kept.
            tape: what `forward` kept.
            features: the gradients of the features, each (time, batch, n).
            gradients: what is filled or added to.
            work: (tiles, n, lanes).
        """
        backward, lanes = self.kernel.backward, self.kernel.lanes
        time, batch, lengths = self.time, self.batch, self.lengths.data_ptr()
        arrays = (*self._read(), _addresses(features), _addresses(gradients.rows))
        shared, given, of_features, rows = (array.buffer_info()[0] for array in arrays)
        inputs = gradients.inputs.data_ptr()
        of_tile = _of_tiles(self.tiles, states, tape, gradients.carry, gradients.sums, work)

        def tile(number: int) -> None:
            state, taped, carry, sums, space = of_tile[number]
            backward(
                time, batch, number * lanes, lengths, shared, given, state, taped, of_features, carry, inputs, rows,
                sums, space,
            )  # fmt: skip

        each(self.tiles, tile)

    def _read(self) -> tuple[array[int], array[int]]:
        signature = self.kernel.signature
        return (
            _addresses(self.shared, signature.slots, signature.places),
            _addresses(self.given, signature.given_slots, signature.entries),
        )

    def _last(self, states: Tensor, keep: bool) -> Tensor:
        """Return the slot in which each tile ended: that after the steps of its longest sequence."""
        if not self.ragged:
            return states.select(1, self.time if keep else self.time % 2)
        lengths = self.lengths
        padded = torch.cat([lengths, lengths.new_zeros(self.tiles * self.kernel.lanes - self.batch)])
        longest = padded.view(self.tiles, -1).amax(1)
        return states[torch.arange(self.tiles), longest if keep else longest % 2]


def _addresses(tensors: Sequence[Tensor], places: Sequence[int] | None = None, count: int = 0) -> array[int]:
    """Return where tensors lie in memory.

    Args:
        tensors: contiguous.
        places: the place of each in the array, if not one after the other; at the others there is null.
        count: how many places the array has, if not as many as there are tensors.
    """
    if places is None:
        return array("Q", [tensor.data_ptr() for tensor in tensors])
    addresses = [0] * count
    for place, tensor in zip(places, tensors, strict=True):
        addresses[place] = tensor.data_ptr()
    return array("Q", addresses)


def _of_tiles(tiles: int, *tensors: Tensor) -> list[list[int]]:
    """Return for each tile where its share of contiguous (tiles, ...) tensors lies."""
    steps = [(tensor.data_ptr(), tensor.stride(0) * tensor.element_size()) for tensor in tensors]
    return [[start + number * step for start, step in steps] for number in range(tiles)]
