"""Batches in and out of tiles."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.runtime.fused.lanes import WIDTHS, from_lanes, to_lanes, width


@given(batch=st.integers(1, 40), lanes=st.sampled_from(WIDTHS), shape=st.sampled_from([(), (3,), (2, 5)]))
def test_there_and_back(batch: int, lanes: int, shape: tuple[int, ...]) -> None:
    """What goes into lanes comes out as it was; the lanes beyond the batch are its last sample."""
    tensor = torch.randn(batch, *shape)
    tiles = -(-batch // lanes)
    inside = to_lanes(tensor, tiles, lanes)
    assert inside.shape == (tiles, tensor[0].numel(), lanes)
    assert torch.equal(from_lanes(inside, batch).view(tensor.shape), tensor)
    assert torch.equal(inside[-1, :, -1], tensor[-1].flatten())
    if batch > lanes:
        assert torch.equal(inside[1, :, 0], tensor[lanes].flatten())


def test_the_width_is_one_of_few() -> None:
    """Few kernels serve all batches."""
    assert [width(batch) for batch in (1, 2, 8, 16, 17, 64)] == [1, 8, 8, 8, 16, 16]
    assert {width(batch) for batch in range(1, 100)} == set(WIDTHS)
