"""Duplication of a string, w -> ww (Delétang et al. 2022), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class DuplicateSpec(TaskSpec):
    """See a sequence of random bit vectors, then a delimiter; then output the whole sequence twice: w -> ww.

    It is the sequence that comes twice, not each vector. An episode of length L takes 3 L + 1 steps. (Delétang et al.
    2022, "Neural Networks and the Chomsky Hierarchy", where each vector is one of two symbols.)
    """

    kind: Literal["duplicate"] = "duplicate"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=8, description="Bits of each vector.")
    length: Range = PydanticField(default=Range(min=1, max=20), description="Vectors that are shown.")

    def sizes(self) -> tuple[int, int]:
        """Bits, and a channel for the delimiter."""
        return self.bits + 1, self.bits

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return 3 * axes.get("length", self.length.max) + 1

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "vectors that are shown"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.duplicate import Duplicate

        return Duplicate(self)
