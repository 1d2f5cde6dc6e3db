"""What a part declares before it is built: sizes it may know, fields it asks of the controller, state, noise, needs.

These are plain data without torch, so that a spec can be checked, counted and printed without building anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Activation = Literal[
    "none", "tanh", "sigmoid", "softplus", "one-plus-softplus", "relu", "one-plus-relu", "exp", "softmax"
]
"""How an interface field's raw numbers become its values.

`one-plus-softplus` is 1 + log(1 + e^x) (the DNC's "oneplus"), `softmax` is taken over the field's own size.
"""

Distribution = Literal["uniform", "normal", "gumbel"]


@dataclass(frozen=True)
class Field:
    """A named quantity that a part asks of the controller at each step, for each head: (batch, heads, size)."""

    size: int
    activation: Activation = "none"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"an interface field has a size of at least 1; {self.size} was asked for")


@dataclass(frozen=True)
class StateTensor:
    """A tensor that a part keeps from step to step: its shape without the batch, and the constant it starts at."""

    shape: tuple[int, ...]
    start: float = 0.0


@dataclass(frozen=True)
class Noise:
    """Random numbers that a part consumes at each step: its shape without the batch, and how they are distributed.

    They are drawn outside the step from (seed, batch, path, time) and enter it as input. Where `training_only` is
    set, a model in evaluation mode receives the constant `off` in their place.
    """

    shape: tuple[int, ...]
    distribution: Distribution = "uniform"
    training_only: bool = False
    off: float = 0.0


@dataclass(frozen=True)
class Needs:
    """Other parts that a part consults: trackers of the memory and other head groups, by name."""

    trackers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dims:
    """The sizes that a part may know when it declares or builds something.

    Attributes:
        inputs: channels of the task's input, >= 1.
        outputs: channels of the task's output, >= 1.
        slots: N, the number of memory slots, >= 1.
        width: W, the size of each slot, >= 1.
        hidden: size of the controller's output, >= 1.
        heads: heads of the group that the part serves; 1 for parts that serve no group.
        reads: sizes of the read vectors of each group that reads, summed over its heads, by group name.
        groups: number of heads of every group, by group name.
    """

    inputs: int
    outputs: int
    slots: int
    width: int
    hidden: int
    heads: int = 1
    reads: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_reads(self) -> int:
        """Size of all read vectors together, which the controller sees at the next step."""
        return sum(self.reads.values())

    def for_heads(self, heads: int) -> Dims:
        """The same sizes seen by a part that serves `heads` heads."""
        return replace(self, heads=heads)
