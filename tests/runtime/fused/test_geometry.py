"""Views of views see what torch's views see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.ir import Buffer, View

Move = tuple[Callable[[Tensor], Tensor], Callable[[View], View]]


@st.composite
def moves(draw: Any, shape: torch.Size) -> Move:
    """One of torch's views of such a tensor, and ours."""
    rank = len(shape)
    axis = draw(st.integers(-rank, rank - 1)) if rank else 0
    choices = ["unsqueeze", "squeeze all", "permute"]
    if rank:
        choices += ["narrow", "select", "flip", "unfold", "squeeze"]
        choices += ["expand"]
    if rank > 1:
        choices += ["diagonal"]
    kind = draw(st.sampled_from(choices))
    if kind == "unsqueeze":
        place = draw(st.integers(-rank - 1, rank))
        return lambda t: t.unsqueeze(place), lambda v: geometry.unsqueeze(v, place)
    if kind == "squeeze all":
        return lambda t: t.squeeze(), geometry.squeeze
    if kind == "squeeze":
        return lambda t: t.squeeze(axis), lambda v: geometry.squeeze(v, [axis])
    if kind == "permute":
        order = draw(st.permutations(range(rank)))
        return lambda t: t.permute(order), lambda v: geometry.permute(v, order)
    if kind == "narrow":
        start, end, step = draw(st.integers(-6, 6)), draw(st.integers(-6, 9)), draw(st.integers(1, 3))
        index = (slice(None),) * (axis % rank) + (slice(start, end, step),)
        return lambda t: t[index], lambda v: geometry.narrow(v, axis, start, end, step)
    if kind == "select" and shape[axis]:
        place = draw(st.integers(-shape[axis], shape[axis] - 1))
        return lambda t: t.select(axis, place), lambda v: geometry.select(v, axis, place)
    if kind == "unfold" and shape[axis]:
        size, step = draw(st.integers(1, shape[axis])), draw(st.integers(1, 3))
        return lambda t: t.unfold(axis, size, step), lambda v: geometry.unfold(v, axis, size, step)
    if kind == "expand":
        sizes = [draw(st.integers(1, 2)), *(draw(st.integers(2, 3)) if size == 1 else -1 for size in shape)]
        return lambda t: t.expand(sizes), lambda v: geometry.expand(v, sizes)
    if kind == "diagonal":
        first, second = draw(st.permutations(range(rank)))[:2]
        offset = draw(st.integers(-shape[first], shape[second]))
        return lambda t: t.diagonal(offset, first, second), lambda v: geometry.diagonal(v, offset, first, second)
    return lambda t: t.flip(axis), lambda v: geometry.flip(v, [axis])


@given(st.data(), st.lists(st.integers(1, 4), max_size=3))
def test_chains_of_views(data: Any, shape: list[int]):
    """However views are taken of views, each element lies where torch finds it."""
    view = Buffer("b", tuple(shape)).whole()
    tensor = torch.arange(view.buffer.size).reshape(shape)
    for _ in range(data.draw(st.integers(1, 4))):
        theirs, ours = data.draw(moves(tensor.shape))
        tensor, view = theirs(tensor), ours(view)
        assert view.shape == tuple(tensor.shape)
        assert torch.equal(geometry.places(view), tensor)
        if tensor.numel() > 64:
            break
    sizes = data.draw(st.sampled_from([[-1], list(tensor.shape), [1, *tensor.shape, 1], _halved(tensor)]))
    if tensor.numel():
        seen = geometry.reshape(view, sizes)
        if seen is not None:
            assert torch.equal(geometry.places(seen), tensor.reshape(sizes))


def _halved(tensor: Tensor) -> list[int]:
    return [2, tensor.numel() // 2] if tensor.numel() % 2 == 0 else [1, tensor.numel()]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_dense_view_is_never_copied(shape: list[int]):
    """What lies densely in memory can be seen in any shape."""
    view = Buffer("b", tuple(shape)).whole()
    assert geometry.reshape(view, [-1]) is not None
    assert geometry.reshape(view, shape[::-1]) is not None


def test_what_only_a_copy_can_have():
    """A transposed matrix has no flat view."""
    assert geometry.reshape(geometry.permute(Buffer("b", (2, 3)).whole(), [1, 0]), [6]) is None


@given(st.lists(st.lists(st.integers(1, 1) | st.integers(3, 3), max_size=3), max_size=3))
def test_broadcast_shape(shapes: list[list[int]]):
    """Shapes broadcast together as torch's do."""
    assert geometry.broadcast_shape(*map(tuple, shapes)) == tuple(torch.broadcast_shapes(*map(tuple, shapes)))
