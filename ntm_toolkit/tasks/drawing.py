"""How tasks draw the sizes of their episodes, along the axes that evaluation can hold fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import Range

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Size = TypeVar("Size", int, tuple[int, int])


def refuse_unknown_axes(spec: TaskSpec, axes: Mapping[str, int]) -> None:
    """Raise ValueError where the task does not have an axis, saying which it has."""
    unknown = sorted(set(axes) - set(spec.axes()))
    if unknown:
        has = ", ".join(spec.axes()) or "none"
        raise ValueError(f"{spec.kind_of()} has no axis '{unknown[0]}'; it has {has}")


def draw_sizes(
    sizes: Range, stream: torch.Generator, batch: int, axis: str, axes: Mapping[str, int], least: int = 1
) -> list[int]:
    """Return a size for each episode: drawn uniformly from the range, or the one to which the axis is fixed.

    Raises:
        ValueError: the axis is fixed to less than `least`.
    """
    if axis in axes:
        if axes[axis] < least:
            raise ValueError(f"axis '{axis}' is at least {least}; got {axes[axis]}")
        return [axes[axis]] * batch
    drawn: list[int] = torch.randint(sizes.min, sizes.max + 1, (batch,), generator=stream).tolist()
    return drawn


def alike(sizes: Sequence[Size]) -> list[tuple[slice, Size]]:
    """Return episodes that have a size in common, or all of several, with it."""
    if min(sizes) == max(sizes):
        return [(slice(None), sizes[0])]
    return [(slice(number, number + 1), size) for number, size in enumerate(sizes)]
