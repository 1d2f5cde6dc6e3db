"""Dyck words: well-formed brackets of several types (Suzgun et al. 2019; Hewitt et al. 2020), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import Count, TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class DyckSpec(TaskSpec):
    """Read a well-formed word of brackets; after each, say which closing bracket may come next.

    Every step is scored, on one output for each type: 1 for the type of the innermost bracket that is open, and no 1
    where none is. (An opening bracket may always come, so there is nothing to predict; a sequence that is exact is one
    that Suzgun et al. 2019 count as recognised.) The length of a word is its number of pairs, so that a word of length
    L takes 2 L steps; its depth is how many brackets are open at once at most. All words of the length that is drawn,
    and of no more than the greatest depth, are equally likely; with the axis `depth` fixed, all words of just this
    depth.
    """

    kind: Literal["dyck"] = "dyck"
    brackets: Annotated[int, PydanticField(ge=1, le=1024)] = PydanticField(
        default=2, description="How many types of brackets there are: k of Dyck-k."
    )
    length: Range = PydanticField(default=Range(min=1, max=20), description="Pairs of brackets in a word.")
    depth: Count | None = PydanticField(
        default=None, description="The greatest depth that training draws; any that the length allows unless given."
    )

    def sizes(self) -> tuple[int, int]:
        """Opening brackets, then closing ones; closing ones."""
        return 2 * self.brackets, self.brackets

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given; a word of some depth has at least as many pairs."""
        return 2 * axes.get("length", max(self.length.max, axes.get("depth", 1)))

    def axes(self) -> Mapping[str, str]:
        """It generalises in length and in depth."""
        return {"length": "pairs of brackets in a word", "depth": "brackets that are open at once at most"}

    def trained(self) -> Mapping[str, range]:
        """The lengths that are drawn, and depths from 1 on where a greatest is given."""
        deepest = {} if self.depth is None else {"depth": range(1, self.depth + 1)}
        return {"length": range(self.length.min, self.length.max + 1), **deepest}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.dyck import Dyck

        return Dyck(self)
