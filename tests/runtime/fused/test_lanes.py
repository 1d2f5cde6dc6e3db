"""Batches in and out of tiles."""

from __future__ import annotations

from math import prod

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.runtime.fused.lanes import WIDTHS, at_places, put, take, width

SHAPES = st.lists(st.sampled_from([(), (1,), (3,), (2, 5)]), min_size=1, max_size=4)


@given(batch=st.integers(1, 40), lanes=st.sampled_from(WIDTHS), shapes=SHAPES, gap=st.sampled_from([0, 16]))
def test_there_and_back(batch: int, lanes: int, shapes: list[tuple[int, ...]], gap: int) -> None:
    """What goes into lanes comes out as it was; the lanes beyond the batch are its last sample."""
    tensors = [torch.randn(batch, *shape) for shape in shapes]
    places, end = [], 0
    for shape in shapes:
        places.append((end, prod(shape)))
        end += prod(shape) + gap
    tiles = -(-batch // lanes)
    slot = torch.zeros(tiles, end, lanes)
    put(tensors, slot, places)
    for inside, tensor in zip(at_places(slot, places), tensors, strict=True):
        assert torch.equal(inside[-1, :, -1], tensor[-1].flatten())
        if batch > lanes:
            assert torch.equal(inside[1, :, 0], tensor[lanes].flatten())
    again = take(slot, places, [tensor.shape for tensor in tensors])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(again, tensors, strict=True))
    slot.fill_(7)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(again, tensors, strict=True)), (
        "it is the slot's memory"
    )


def test_whole_numbers_and_strides() -> None:
    """Tensors of another dtype, expanded or transposed, are copied by their values."""
    slot = torch.zeros(1, 7, 8)
    put([torch.arange(8)[:, None], torch.ones(1, 6).expand(8, -1)], slot, [(0, 1), (1, 6)])
    assert torch.equal(slot[0, 0], torch.arange(8.0))
    assert bool((slot[0, 1:] == 1).all())


def test_nothing_is_put_nowhere() -> None:
    """No tensors, no copies."""
    slot = torch.zeros(1, 3, 8)
    put([], slot, [])
    assert take(slot, [], []) == []


def test_the_width_is_one_of_few() -> None:
    """Few kernels serve all batches."""
    assert [width(batch) for batch in (1, 2, 8, 16, 17, 64)] == [1, 8, 8, 8, 16, 16]
    assert {width(batch) for batch in range(1, 100)} == set(WIDTHS)
