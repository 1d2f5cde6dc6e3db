"""Memory that is used again."""

from __future__ import annotations

import torch

from ntm_toolkit.runtime.fused.blocks import Blocks


def test_shapes_dtypes_and_alignment() -> None:
    """Tensors are of the shapes asked for, aligned for vectors, and do not overlap."""
    first, second, nothing = Blocks().take(torch.float64, (3, 5), (7,), (0, 4))
    assert (first.shape, second.shape, nothing.shape) == ((3, 5), (7,), (0, 4))
    assert {first.dtype, second.dtype, nothing.dtype} == {torch.float64}
    assert first.data_ptr() % 64 == second.data_ptr() % 64 == 0
    first.fill_(1), second.fill_(2)
    assert bool((first == 1).all())
    assert bool((second == 2).all())


def test_freed_memory_is_used_again() -> None:
    """What nobody holds any more serves the next who asks for as much or less."""
    blocks = Blocks()
    [tensor] = blocks.take(torch.float32, (1000,))
    where = tensor.data_ptr()
    del tensor
    assert blocks.take(torch.float64, (100,))[0].data_ptr() == where


def test_memory_in_use_is_not_given_out() -> None:
    """A view, or a graph that holds the tensor for its backward pass, keeps the memory."""
    blocks = Blocks()
    weight = torch.ones(50, requires_grad=True)
    [tensor] = blocks.take(torch.float32, (50,))
    where = tensor.data_ptr()
    tensor.fill_(3)
    product = (weight * tensor).sum()
    view = tensor[10:20]
    del tensor
    assert blocks.take(torch.float32, (50,))[0].data_ptr() != where
    product.backward(retain_graph=True)
    del view
    assert blocks.take(torch.float32, (50,))[0].data_ptr() != where
    product.backward()
    assert torch.equal(weight.grad, torch.full((50,), 6.0))
    found = {blocks.take(torch.float32, (50,))[0].data_ptr() for _ in range(1)}
    held = [blocks.take(torch.float32, (50,))[0] for _ in range(2)]
    assert where in {tensor.data_ptr() for tensor in held} | found


def test_what_is_not_used_is_given_back() -> None:
    """A block that has long been too small or too large to be wanted does not stay."""
    blocks = Blocks()
    blocks.take(torch.float32, (1 << 20,))
    for _ in range(300):
        blocks.take(torch.float32, (10,))
    assert all(block.size < 1 << 20 for block in blocks._free)


def test_tensors_made_in_inference_mode_serve_outside_of_it() -> None:
    """Memory goes from inference to training and back."""
    with torch.inference_mode():
        [tensor] = Blocks().take(torch.float32, (3,))
    assert not tensor.is_inference()
