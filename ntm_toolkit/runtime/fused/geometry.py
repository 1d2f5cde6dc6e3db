"""Views of views: what each of torch's view operations does to shape, strides and offset. Nothing is copied here."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.ir import Shape, View, row_major


def axis_of(axis: int, rank: int) -> int:
    """Return the axis counted from 0."""
    return axis + rank if axis < 0 else axis


def permute(view: View, order: Sequence[int]) -> View:
    """Return the view with its axes in another order."""
    order = [axis_of(axis, len(view.shape)) for axis in order]
    return View(view.buffer, tuple(view.shape[a] for a in order), tuple(view.strides[a] for a in order), view.offset)


def unsqueeze(view: View, axis: int) -> View:
    """Return the view with an axis of size 1 put in."""
    axis = axis_of(axis, len(view.shape) + 1)
    shape, strides = list(view.shape), list(view.strides)
    shape.insert(axis, 1)
    strides.insert(axis, 0)
    return View(view.buffer, tuple(shape), tuple(strides), view.offset)


def leading(view: View, count: int) -> View:
    """Return the view with so many axes of size 1 before its own."""
    return View(view.buffer, (1,) * count + view.shape, (0,) * count + view.strides, view.offset)


def squeeze(view: View, axes: Sequence[int] | None = None) -> View:
    """Return the view without those of the axes that have size 1."""
    rank = len(view.shape)
    gone = set(range(rank)) if axes is None else {axis_of(axis, rank) for axis in axes}
    kept = [axis for axis in range(rank) if axis not in gone or view.shape[axis] != 1]
    return View(view.buffer, tuple(view.shape[a] for a in kept), tuple(view.strides[a] for a in kept), view.offset)


def expand(view: View, sizes: Sequence[int]) -> View:
    """Return the view broadcast to sizes, where -1 keeps a size."""
    lead = len(sizes) - len(view.shape)
    wanted = tuple(view.shape[i - lead] if size == -1 else size for i, size in enumerate(sizes))
    return view.broadcast(wanted)


def narrow(view: View, axis: int, start: int = 0, end: int | None = None, step: int = 1) -> View:
    """Return the elements from start to end along an axis, as slicing has them."""
    axis = axis_of(axis, len(view.shape))
    places = range(view.shape[axis])[start:end:step]
    shape, strides = list(view.shape), list(view.strides)
    shape[axis] = len(places)
    offset = view.offset + (places.start if len(places) else 0) * strides[axis]
    strides[axis] *= step
    return View(view.buffer, tuple(shape), tuple(strides), offset)


def select(view: View, axis: int, index: int) -> View:
    """Return the elements at one place of an axis, without that axis."""
    axis = axis_of(axis, len(view.shape))
    index = axis_of(index, view.shape[axis])
    rest = [a for a in range(len(view.shape)) if a != axis]
    offset = view.offset + index * view.strides[axis]
    return View(view.buffer, tuple(view.shape[a] for a in rest), tuple(view.strides[a] for a in rest), offset)


def flip(view: View, axes: Sequence[int]) -> View:
    """Return the view with some axes in reverse order."""
    strides, offset = list(view.strides), view.offset
    for axis in (axis_of(axis, len(view.shape)) for axis in axes):
        offset += (view.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return View(view.buffer, view.shape, tuple(strides), offset)


def unfold(view: View, axis: int, size: int, step: int) -> View:
    """Return all windows of a size along an axis; the windows' elements are a new last axis."""
    axis = axis_of(axis, len(view.shape))
    shape, strides = list(view.shape), list(view.strides)
    shape[axis] = (shape[axis] - size) // step + 1
    inner = strides[axis]
    strides[axis] *= step
    return View(view.buffer, (*shape, size), (*strides, inner), view.offset)


def diagonal(view: View, offset: int = 0, first: int = 0, second: int = 1) -> View:
    """Return the diagonal of two axes, `offset` above the main one, as a new last axis."""
    first, second = axis_of(first, len(view.shape)), axis_of(second, len(view.shape))
    rest = [axis for axis in range(len(view.shape)) if axis not in (first, second)]
    if offset >= 0:
        size = min(view.shape[first], view.shape[second] - offset)
    else:
        size = min(view.shape[first] + offset, view.shape[second])
    start = view.offset + (offset * view.strides[second] if offset >= 0 else -offset * view.strides[first])
    return View(
        view.buffer,
        (*(view.shape[axis] for axis in rest), max(size, 0)),
        (*(view.strides[axis] for axis in rest), view.strides[first] + view.strides[second]),
        start if size > 0 else view.offset,
    )


def reshape(view: View, sizes: Sequence[int]) -> View | None:
    """Return the view in another shape, or None where only a copy can have it."""
    wanted = resolved(sizes, view.shape)
    if 0 in view.shape:
        return View(view.buffer, wanted, row_major(wanted), view.offset)
    # Runs of axes that lie densely in memory, the last of each first.
    runs: list[tuple[int, int]] = []
    for size, stride in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if size == 1:
            continue
        if runs and runs[-1][0] * runs[-1][1] == stride:
            runs[-1] = (runs[-1][0] * size, runs[-1][1])
        else:
            runs.append((size, stride))
    strides: list[int] = []
    left, stride = runs.pop(0) if runs else (1, 1)
    for size in reversed(wanted):
        if size == 1:
            strides.append(0)
            continue
        if left == 1 and runs:
            left, stride = runs.pop(0)
        if left % size:
            return None
        strides.append(stride)
        stride, left = stride * size, left // size
    return View(view.buffer, wanted, tuple(reversed(strides)), view.offset)


def places(view: View) -> Tensor:
    """Return where in its buffer each element of a view lies, in the view's shape."""
    found = torch.tensor(view.offset)
    for axis, (size, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        along = torch.arange(size) * stride
        found = found + along.reshape([-1 if a == axis else 1 for a in range(len(view.shape))])
    return found.expand(view.shape)


def resolved(sizes: Sequence[int], shape: Shape) -> Shape:
    """Return sizes with -1 replaced by what fits the number of elements of a shape."""
    known = prod(size for size in sizes if size != -1)
    return tuple(prod(shape) // max(known, 1) if size == -1 else size for size in sizes)


def broadcast_shape(*shapes: Shape) -> Shape:
    """Return the shape to which shapes broadcast together."""
    rank = max((len(shape) for shape in shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for place, size in enumerate(shape, start=rank - len(shape)):
            out[place] = size if out[place] == 1 else out[place]
    return tuple(out)
