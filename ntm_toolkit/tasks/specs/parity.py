"""Parity of a string of bits (Delétang et al. 2022), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class ParitySpec(TaskSpec):
    """See random bits, then a delimiter; then output one bit, 1 where the number of ones is odd.

    Nothing else is scored. An episode of length L takes L + 2 steps.
    """

    kind: Literal["parity"] = "parity"
    length: Range = PydanticField(default=Range(min=1, max=40), description="Bits in an episode.")

    def sizes(self) -> tuple[int, int]:
        """The bit and the delimiter; the answer."""
        return 2, 1

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return axes.get("length", self.length.max) + 2

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "bits in an episode"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.parity import Parity

        return Parity(self)
