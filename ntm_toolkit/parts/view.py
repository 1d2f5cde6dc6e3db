"""What stages, heads and trackers may look at during a step, and must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ntm_toolkit.parts.bases import Memory

Tensors = Mapping[str, Tensor]


class MemoryView(Mapping[str, Tensor]):
    """One version of the memory, read-only: its named tensors, its rows, and what anybody derived from them.

    A new view is made after every write, so that what was derived from an older version is never seen again.
    """

    def __init__(self, memory: Memory, tensors: Tensors) -> None:
        self._memory = memory
        self._tensors = tensors
        self._derived: dict[Callable[[MemoryView], Tensor], Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def tensors(self) -> Tensors:
        """The memory's named state tensors, each (batch, ...)."""
        return self._tensors

    @property
    def rows(self) -> Tensor:
        """What the slots hold, (batch, slots, width)."""
        return self._memory.rows(self._tensors)

    def read(self, weighting: Tensor) -> Tensor:
        """Return the read vectors (batch, heads, width) of a weighting (batch, heads, slots)."""
        return self._memory.read(self._tensors, weighting)

    def derived(self, function: Callable[[MemoryView], Tensor]) -> Tensor:
        """Return `function(self)`, computed once for this version of the memory.

        Pass a function of the module's top level (not a lambda made anew each time): it is the key by which what was
        computed is found again, by whoever needs it.
        """
        if function not in self._derived:
            self._derived[function] = function(self)
        return self._derived[function]


@dataclass(frozen=True)
class View:
    """What a part sees beside its own inputs. Everything here belongs to the step's past, and nothing may be changed.

    Attributes:
        memory: the memory as the groups before this one left it (as the step began, under `order: simultaneous`).
        previous: this group's weighting of the step before, (batch, heads, slots).
        trackers: the tensors of the trackers that the part needs, by tracker's name.
        groups: every group's weighting of the step before, by name, each (batch, that group's heads, slots).
        noise: the random numbers that the part declared, by name, each (batch, *shape).
        time: how many steps each sequence has taken before this one, (batch,) whole numbers.
        lengths: how many steps of this input each sequence has, (batch,) whole numbers.
    """

    memory: MemoryView
    previous: Tensor
    trackers: Mapping[str, Tensors]
    groups: Tensors
    time: Tensor
    lengths: Tensor
    noise: Tensors = field(default_factory=dict)
