"""The steps of a batch of sequences carried out by a kernel: tile by tile, on some threads.

Everything that a kernel needs lies in two blocks of memory, one of which is kept until the backward pass. Where in them
depends on the kernel and on how many steps and sequences there are, and is worked out once for each. What is given out
and large lies in such blocks, too: fresh memory from the system may take longer to touch than to compute what is in it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.blocks import BLOCKS
from ntm_toolkit.runtime.fused.ir import row_major
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.threads import each

_ALIGNED_TO = 64
"""Bytes: where vectors are loaded fastest."""


class Extent:
    """Where things lie in the two blocks of a batch of sequences, in bytes from their start.

    Args:
        kernel: the step.
        time: how many steps the longest may take.
        batch: how many there are.
        keep: whether the states and the tape of every step are kept, for a backward pass.

    Attributes:
        tiles: how many tiles the sequences fill.
        last: bytes of the state after the last step.
        kept: bytes of what is kept: for each tile its `states` and its `tape`; what is `packed`; where states `start`.
        work: bytes of the rest, and for each tile its `space`.
        work_back: bytes of what the backward pass needs: for each tile what is in `backs` (the gradient of the state,
            what is summed, and workspace); gradients of what is packed, `packed_back`, and of the states at the start,
            `start_back`; and `rows`.
    """

    def __init__(self, kernel: Kernel, time: int, batch: int, keep: bool) -> None:
        layout, ends, lanes, size = kernel.layout, kernel.ends, kernel.lanes, kernel.dtype.itemsize
        self.time, self.batch, self.keep = time, batch, keep
        self.tiles = tiles = -(-batch // lanes)
        self.last = batch * sum(prod(one.shape) for one in kernel.signature.state) * size
        tile = lanes * size
        states, tape = (
            (time + 1 if keep else 2) * layout.state_size * tile,
            (time if keep else 1) * layout.tape_size * tile,
        )
        (of_states, of_tape, self.packed, self.start), self.kept = _side_by_side(
            [tiles * states, tiles * tape, ends.packed_size * size, ends.start_size * size]
        )
        self.states = [of_states + number * states for number in range(tiles)]
        self.tape = [of_tape + number * tape for number in range(tiles)]
        space = layout.work[0] * tile
        self.work = max(tiles * space, ends.work[0] * size)
        self.space = [number * space for number in range(tiles)]
        carry, sums, space = 3 * layout.moving_size * tile, layout.sums_size * tile, layout.work[1] * tile
        self.moving = sum(count for _, count in layout.moving.values())
        (of_carry, self.sums, of_space, self.packed_back, self.start_back, self.end, *self.rows, _), self.work_back = (
            _side_by_side(
                [
                    tiles * carry,
                    tiles * sums,
                    tiles * space,
                    ends.packed_size * size,
                    batch * self.moving * size,
                    ends.work[1] * size,
                    *(time * batch * n * size for n in kernel.signature.rows),
                    _ALIGNED_TO,  # the last row, too, is read in whole vectors
                ]
            )
        )
        self.backs = [
            (of_carry + number * carry, self.sums + number * sums, of_space + number * space) for number in range(tiles)
        ]


_MOST_EXTENTS = 512
_FEW_ROWS = 128
"""Rows up to which the products of them are computed on one thread."""


def extent(kernel: Kernel, time: int, batch: int, keep: bool) -> Extent:
    """Return the extent of such a batch, which the kernel remembers."""
    key = (time, batch, keep)
    found = kernel.extents.get(key)
    if found is None:
        if len(kernel.extents) >= _MOST_EXTENTS:
            kernel.extents.clear()
        found = kernel.extents[key] = Extent(kernel, time, batch, keep)
    return found


def _side_by_side(sizes: Sequence[int]) -> tuple[list[int], int]:
    *places, end = accumulate((-(-size // _ALIGNED_TO) * _ALIGNED_TO for size in sizes), initial=0)
    return places, end


@dataclass(frozen=True)
class Given:
    """What a kernel reads, everything contiguous and in its dtype.

    Attributes:
        own: what all samples share, as the kernel's signature lists it.
        each: (time, batch, ...), likewise.
        state: (batch, ...), likewise; None where sequences begin.
        lengths: (batch,) of int64.
    """

    own: Sequence[Tensor | None]
    each: Sequence[Tensor]
    state: Sequence[Tensor] | None
    lengths: Tensor


@dataclass(frozen=True)
class Done:
    """What a forward pass leaves.

    Attributes:
        output: (time, batch, n).
        state: the state after the last step, (batch, ...), each in its dtype.
        kept: a block for the backward pass.
    """

    output: Tensor
    state: list[Tensor]
    kept: Tensor


def forward(kernel: Kernel, given: Given, *, keep: bool) -> Done:
    """Carry all steps out.

    Args:
        kernel: the step.
        given: what it reads.
        keep: whether `backward` will follow.
    """
    signature, dtype, lanes = kernel.signature, kernel.dtype, kernel.lanes
    time, batch = given.each[0].shape[:2]
    place = extent(kernel, time, batch, keep)
    kept, work = BLOCKS.bytes(place.kept), BLOCKS.bytes(place.work)
    base, space = kept.data_ptr(), work.data_ptr()
    own = _addresses(given.own)
    if kernel.begin is not None:
        kernel.begin(_at(own), base + place.packed, base + place.start, space)
    shared = _shared(kernel, own, base + place.packed)
    read = _read(kernel, given.each)
    if given.state is None:
        start = array("Q", [base + place.start + offset * dtype.itemsize for offset, _ in kernel.ends.start.values()])
    else:
        start = _addresses(given.state)
    output = torch.empty((time, batch, signature.output), dtype=dtype)
    last = BLOCKS.bytes(place.last).view(dtype)
    more = (_at(shared), _at(read), _at(start), given.state is None)
    lengths, filled, ended = given.lengths.data_ptr(), output.data_ptr(), last.data_ptr()

    def tile(number: int) -> None:
        kernel.forward(
            time, batch, number * lanes, lengths, keep, *more, base + place.states[number], base + place.tape[number],
            filled, ended, space + place.space[number],
        )  # fmt: skip

    each(place.tiles, tile)
    after = _apart(last, batch, [one.shape for one in signature.state])
    for number, one in enumerate(signature.state):
        if one.dtype:
            after[number] = after[number].to(getattr(torch, one.dtype))
    return Done(output, after, kept)


@dataclass(frozen=True)
class Gradients:
    """What a backward pass gives.

    Attributes:
        own: for each of what all samples share, None where it has none.
        inputs: (time, batch, n); None where it is not wanted.
        state: (batch, ...) of the differentiable tensors of the state at the start; None where sequences begin.
    """

    own: list[Tensor | None]
    inputs: Tensor | None
    state: list[Tensor] | None


def backward(
    kernel: Kernel,
    given: Given,
    kept: Tensor,
    output: Tensor,
    last: Sequence[Tensor | None],
    *,
    of_inputs: bool,
    of_state: bool,
) -> Gradients:
    """Carry all steps out backward.

    Args:
        kernel: the step.
        given: what `forward` was given, but not what its backward pass does not read, nor the state.
        kept: what `forward` kept.
        output: the gradient of the output, (time, batch, n).
        last: the gradients of the differentiable tensors of the state after the last step; None counts as zero.
        of_inputs: whether the input's gradient is wanted.
        of_state: whether a state was given, so that its gradients are, and not those of where sequences begin.
    """
    dtype, lanes = kernel.dtype, kernel.lanes
    time, batch = output.shape[:2]
    place = extent(kernel, time, batch, True)
    work = BLOCKS.bytes(place.work_back)
    base, space = kept.data_ptr(), work.data_ptr()
    own = _addresses(given.own)
    shared, read = _shared(kernel, own, base + place.packed), _read(kernel, given.each)
    of_last = array("Q", [0 if gradient is None else gradient.data_ptr() for gradient in last])
    rows = array("Q", [space + row for row in place.rows])
    inputs = torch.empty_like(given.each[0]) if of_inputs else None
    start = torch.empty(batch * place.moving, dtype=dtype) if of_state else None
    of_start = space + place.start_back if start is None else start.data_ptr()
    before = (given.lengths.data_ptr(), _at(shared), _at(read))
    to_output, to_inputs = output.data_ptr(), 0 if inputs is None else inputs.data_ptr()

    def tile(number: int) -> None:
        carry, sums, room = place.backs[number]
        kernel.backward(
            time, batch, number * lanes, *before, base + place.states[number], base + place.tape[number], to_output,
            _at(of_last), space + carry, of_start, to_inputs, _at(rows), space + sums, space + room,
        )  # fmt: skip

    each(place.tiles, tile)
    flat, size = BLOCKS.bytes(kernel.gradients.total * dtype.itemsize).view(dtype), dtype.itemsize
    begin = flat.data_ptr()
    gradients = array("Q", [0 if one is None else begin + one[2] * size for one in kernel.gradients.places])
    packed = space + place.packed_back
    if kernel.signature.rows:
        count = time * batch
        parts = 1 if count <= _FEW_ROWS else torch.get_num_threads()
        each(parts, lambda part: kernel.multiply(count, part, parts, _at(rows), packed, _at(gradients)))
    kernel.finish(
        batch, _at(own), space + place.sums, 0 if of_state else of_start, packed, _at(gradients), space + place.end
    )
    with torch._C._AutoDispatchBelowAutograd():
        of_own = [None if one is None else flat.as_strided(*one) for one in kernel.gradients.places]
    shapes = [one.shape for one in kernel.signature.state if one.path in kernel.layout.moving]
    return Gradients(of_own, inputs, None if start is None else _apart(start, batch, shapes))


def _addresses(tensors: Sequence[Tensor | None]) -> array[int]:
    return array("Q", [0 if tensor is None else tensor.data_ptr() for tensor in tensors])


def _at(addresses: array[int]) -> int:
    """Return where an array itself lies; it must be kept for as long as that is used."""
    return addresses.buffer_info()[0]


def _shared(kernel: Kernel, own: array[int], packed: int) -> array[int]:
    """Return the addresses of all that a step might share, null for what it does not."""
    addresses = array("Q", bytes(8 * kernel.signature.places))
    for place, address in zip(kernel.slots, own, strict=True):
        addresses[place] = address
    for place, (offset, _) in zip(kernel.signature.packed, kernel.ends.packed.values(), strict=True):
        addresses[place] = packed + offset * kernel.dtype.itemsize
    return addresses


def _read(kernel: Kernel, tensors: Sequence[Tensor]) -> array[int]:
    """Return the addresses of all that a step might be given, null for what it is not."""
    addresses = array("Q", bytes(8 * kernel.signature.entries))
    for place, tensor in zip(kernel.signature.given_slots, tensors, strict=True):
        addresses[place] = tensor.data_ptr()
    return addresses


def _apart(together: Tensor, batch: int, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return tensors (batch, *shape) that lie one after the other."""
    parts, begin = [], 0
    # Autograd is not to know that they share memory: they do not overlap, and each may be changed in place.
    with torch._C._AutoDispatchBelowAutograd():
        for shape in shapes:
            whole = (batch, *shape)
            parts.append(together.as_strided(whole, row_major(whole), begin))
            begin += prod(whole)
    return parts
