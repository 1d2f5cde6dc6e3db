"""Memory that is used again."""

from __future__ import annotations

import torch

from ntm_toolkit.runtime.fused.blocks import Blocks


def test_bytes_are_aligned() -> None:
    """They are as many as asked for, begin where vectors are loaded fastest, and do not overlap."""
    blocks = Blocks()
    first, second, nothing = blocks.bytes(15), blocks.bytes(7), blocks.bytes(0)
    assert [len(some) for some in (first, second, nothing)] == [15, 7, 0]
    assert first.data_ptr() % 64 == second.data_ptr() % 64 == 0
    first.fill_(1), second.fill_(2)
    assert bool((first == 1).all())
    assert bool((second == 2).all())


def test_freed_memory_is_used_again() -> None:
    """What nobody holds any more serves the next who asks for as much or less."""
    blocks = Blocks()
    tensor = blocks.bytes(4000)
    where = tensor.data_ptr()
    del tensor
    assert blocks.bytes(800).data_ptr() == where


def test_memory_in_use_is_not_given_out() -> None:
    """A view, or a graph that holds the tensor for its backward pass, keeps the memory."""
    blocks = Blocks()
    weight = torch.ones(50, requires_grad=True)
    tensor = blocks.bytes(200)
    where = tensor.data_ptr()
    numbers = tensor.view(torch.float32).fill_(3)
    product = (weight * numbers).sum()
    view = tensor[10:20]
    del tensor, numbers
    assert blocks.bytes(200).data_ptr() != where
    product.backward(retain_graph=True)
    del view
    assert blocks.bytes(200).data_ptr() != where
    product.backward()
    assert torch.equal(weight.grad, torch.full((50,), 6.0))
    found = {blocks.bytes(200).data_ptr() for _ in range(1)}
    held = [blocks.bytes(200) for _ in range(2)]
    assert where in {tensor.data_ptr() for tensor in held} | found


def test_what_is_not_used_is_given_back() -> None:
    """A block that has long been too small or too large to be wanted does not stay."""
    blocks = Blocks()
    blocks.bytes(4 << 20)
    for _ in range(300):
        blocks.bytes(40)
    assert all(block.size < 4 << 20 for block in blocks._free)


def test_tensors_made_in_inference_mode_serve_outside_of_it() -> None:
    """Memory goes from inference to training and back."""
    with torch.inference_mode():
        tensor = Blocks().bytes(12)
    assert not tensor.is_inference()
