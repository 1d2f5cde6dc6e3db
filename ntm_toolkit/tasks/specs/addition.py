"""Binary addition (Delétang et al. 2022), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class AdditionSpec(TaskSpec):
    """See two numbers in binary, one after the other, then a delimiter; then output their sum.

    All numbers are written from the least significant bit on. Of length L, both have L bits, each 0 or 1 with equal
    probability, a plus on a channel of its own stands between them, and the sum has L + 1 bits: 3 L + 3 steps.
    (Delétang et al. 2022, where the two may differ in length.)
    """

    kind: Literal["addition"] = "addition"
    length: Range = PydanticField(default=Range(min=1, max=20), description="Bits of each of the two numbers.")

    def sizes(self) -> tuple[int, int]:
        """A bit, the plus and the delimiter; a bit of the sum."""
        return 3, 1

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return 3 * axes.get("length", self.length.max) + 3

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "bits of each of the two numbers"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.addition import Addition

        return Addition(self)
