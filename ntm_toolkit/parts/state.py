"""All that passes from one step to the next: one flat structure of named tensors, carried by the user between calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class State(Mapping[str, Tensor]):
    """A sequence model's state: tensors (batch, ...) by path, such as `memory.matrix` or `heads.read.weighting`.

    It is immutable; every method returns a new one. Take it from one call and give it to the next, `detach()` it
    between chunks of truncated backpropagation, `to()` another device or dtype.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, path: str) -> Tensor:
        return self._tensors[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{path}: {tuple(tensor.shape)}" for path, tensor in self._tensors.items())
        return f"State({shapes})"

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return next(iter(self._tensors.values())).shape[0]

    def map(self, function: Callable[[Tensor], Tensor]) -> State:
        """Return the state whose tensors are `function` of these."""
        return State({path: function(tensor) for path, tensor in self._tensors.items()})

    def detach(self) -> State:
        """Return the same values cut from the graph that made them."""
        return self.map(Tensor.detach)

    def clone(self) -> State:
        """Return a copy in memory of its own."""
        return self.map(torch.clone)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the state on that device; floating-point tensors become `dtype`."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)

        return self.map(moved)

    def select(self, index: Any) -> State:
        """Return the state of some of the sequences: an index, slice or tensor along the batch."""
        return self.map(lambda tensor: tensor[index])
