"""Associative recall (Graves et al. 2014, section 4.3), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field as PydanticField
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.families import Count, TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class AssociativeRecallSpec(TaskSpec):
    """See a list of items, then one of them again, any but the last; then output the item that came after it.

    An item is a few random bit vectors, one a step. An episode is, for each item, a step of the delimiter and the
    item's V vectors; then the query delimiter, the queried item's V vectors, the query delimiter; then V steps without
    input in which the item after it is wanted: n (V + 1) + 2 V + 2 steps for n items. The two delimiters have a channel
    each. Items are drawn independently, so that two may be alike (one pair in 2^18 is, with three vectors of six
    bits); then the item wanted is that after the one drawn as query, which cannot be known.
    """

    kind: Literal["associative-recall"] = "associative-recall"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=6, description="Bits of each vector.")
    vectors: Count = PydanticField(default=3, description="Vectors of each item.")
    items: Range = PydanticField(
        default=Range(min=2, max=6), description="Items in an episode; at least 2, as one comes after another."
    )

    @model_validator(mode="after")
    def _two_items(self) -> Self:
        if self.items.min < 2:
            text = f"items.min {self.items.min} leaves none to come after the query; it is at least 2"
            raise PydanticCustomError("ntm", "{text}", {"text": text})
        return self

    def sizes(self) -> tuple[int, int]:
        """Bits and the two delimiters; bits."""
        return self.bits + 2, self.bits

    def longest(self, **axes: int) -> int:
        """Steps with the most items, or as many as are given."""
        return axes.get("items", self.items.max) * (self.vectors + 1) + 2 * self.vectors + 2

    def axes(self) -> Mapping[str, str]:
        """It generalises in how many items there are."""
        return {"items": "items in an episode"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.associative_recall import AssociativeRecall

        return AssociativeRecall(self)
