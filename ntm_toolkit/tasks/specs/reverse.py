"""Reversal (Grefenstette et al. 2015, section 4.1; Delétang et al. 2022), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class ReverseSpec(TaskSpec):
    """See a sequence of random bit vectors, then a delimiter; then output the sequence backwards.

    An episode of length L takes 2 L + 1 steps.
    """

    kind: Literal["reverse"] = "reverse"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=8, description="Bits of each vector.")
    length: Range = PydanticField(default=Range(min=1, max=20), description="Vectors in an episode.")

    def sizes(self) -> tuple[int, int]:
        """Bits, and a channel for the delimiter."""
        return self.bits + 1, self.bits

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return 2 * axes.get("length", self.length.max) + 1

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "vectors in an episode"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.reverse import Reverse

        return Reverse(self)
