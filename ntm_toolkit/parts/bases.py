"""The base classes of the modules that compute: what each family's `forward` takes and gives.

Modules see the head axis and know nothing else: not which head, which neighbours, which batch size; they compute on
whatever device and dtype their inputs have. Nothing is changed in place, no random number is drawn, no Python branch
depends on a tensor's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.parts.view import MemoryView, Tensors, View
from ntm_toolkit.spec.declarations import Activation, StateTensor


class Initializer(nn.Module):
    """Where a tensor starts. Its value may be learned, fixed at random (and saved with the model), or constant."""

    def forward(self) -> Tensor:
        """Return the value, of the shape that the initialiser was built with, without a batch dimension."""
        raise NotImplementedError


class Similarity(nn.Module):
    """How alike keys and slots are."""

    def forward(self, keys: Tensor, memory: MemoryView) -> Tensor:
        """Return scores (batch, heads, slots) of keys (batch, heads, width) against `memory.rows`."""
        raise NotImplementedError


class Normalizer(nn.Module):
    """How scores become a weighting."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return a weighting (batch, heads, slots), non-negative and summing to 1 over slots, of such scores."""
        raise NotImplementedError


class Stage(nn.Module):
    """One step of addressing.

    A stage whose spec declares `state` is called as `forward(weighting, fields, view, state)` and returns
    `(weighting, state)`, with a tensor for each name that it declared.
    """

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        """Return the weighting (batch, heads, slots) made of the incoming one and the fields (batch, heads, size)."""
        raise NotImplementedError


@dataclass(frozen=True)
class HeadOutput:
    """What one group of heads did in a step.

    Attributes:
        reads: what each head read, (batch, heads, read size), or None.
        change: named tensors that the memory's `write` understands, or None. For the matrix memory: `keep`, the
            factor (batch, slots, width) of what stays, and `add`, (batch, slots, width).
    """

    reads: Tensor | None = None
    change: Tensors | None = None


class Head(nn.Module):
    """What a group of heads does with its weighting: read, or change the memory, or both."""

    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> HeadOutput:
        """Return what the heads read and how they change the memory at a weighting (batch, heads, slots)."""
        raise NotImplementedError


class Controller(nn.Module):
    """The network that sees the input and the previous reads and emits the interface.

    A controller may do work once a sequence: `project` maps all inputs at once, and `pack` prepares weights. A
    controller that overrides `pack` finds what it returned as the fourth argument of `forward`.
    """

    def project(self, inputs: Tensor) -> Tensor:
        """Return what `forward` takes at each step, (time, batch, ...), from inputs (time, batch, inputs)."""
        return inputs

    def pack(self) -> Tensors:
        """Return tensors made of parameters alone, which every step uses."""
        return {}

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return the named tensors (batch, ...) that it keeps between steps, as they are before the first."""
        return {}

    def forward(self, inputs: Tensor, reads: Tensor, state: Tensors, *packed: Tensors) -> tuple[Tensor, Tensors]:
        """Return the output (batch, output size) and the new state, from projected inputs and reads (batch, reads)."""
        raise NotImplementedError


@dataclass(frozen=True)
class FieldSlot:
    """One field as the interface emits it.

    Attributes:
        path: who asked for it, such as `heads.read.addressing.content.key`.
        heads: how many heads it is emitted for.
        size: how many numbers each of them is given.
        activation: what becomes of these numbers.
    """

    path: str
    heads: int
    size: int
    activation: Activation

    @property
    def total(self) -> int:
        """How many numbers the interface emits for it at each step."""
        return self.heads * self.size


class Interface(nn.Module):
    """The map from the controller's output to the raw numbers of all fields, in the order of its slots."""

    def pack(self) -> Tensors:
        """Return tensors made of parameters alone, which every step uses."""
        return {}

    def forward(self, output: Tensor, packed: Tensors) -> Tensor:
        """Return raw fields (batch, sum of the slots' totals) of a controller output (batch, hidden)."""
        raise NotImplementedError


class Memory(nn.Module):
    """The memory: named state tensors and what reading and writing mean. It keeps nothing in itself."""

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return the named tensors (batch, ...) as they are before the first step."""
        raise NotImplementedError

    def rows(self, state: Tensors) -> Tensor:
        """Return what the slots hold, (batch, slots, width)."""
        raise NotImplementedError

    def read(self, state: Tensors, weighting: Tensor) -> Tensor:
        """Return r = sum_i w(i) M(i), (batch, heads, width), of a weighting (batch, heads, slots)."""
        return weighting @ self.rows(state)

    def write(self, state: Tensors, changes: Sequence[Tensors]) -> Tensors:
        """Return the state after the changes that writing heads made together."""
        raise NotImplementedError


class Tracker(nn.Module):
    """What the memory keeps about its own use. Each method returns the tracker's new state."""

    def before(self, state: Tensors, fields: Mapping[str, Tensors], view: View) -> Tensors:
        """Called before the heads; `fields` are those of each group, by name. `view.previous` is empty."""
        return state

    def after_write(self, state: Tensors, group: str, weighting: Tensor, view: View) -> Tensors:
        """Called after each group that writes, with the weighting (batch, heads, slots) it wrote at."""
        return state

    def after(self, state: Tensors, weightings: Tensors, view: View) -> Tensors:
        """Called after all groups, with this step's weightings by group's name."""
        return state


def initial_tensors(declared: Mapping[str, StateTensor], batch: int, like: Tensor) -> dict[str, Tensor]:
    """Return the declared state tensors (batch, *shape) at their start, on the device and of the dtype of `like`."""
    return {
        name: torch.full((batch, *tensor.shape), tensor.start, dtype=like.dtype, device=like.device)
        for name, tensor in declared.items()
    }
