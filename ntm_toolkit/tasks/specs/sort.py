"""Sorting of symbols (bucket sort in Delétang et al. 2022) or of integers in binary, as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class SortSpec(TaskSpec):
    """See a sequence of random symbols, then a delimiter; then output the same symbols in ascending order.

    Each symbol is drawn with equal probability, and equal ones come out as often as they came in. An episode of length
    L takes 2 L + 1 steps. One-hot with five symbols it is the bucket sort of Delétang et al. 2022; in binary the order
    is that of the integers.
    """

    kind: Literal["sort"] = "sort"
    symbols: Annotated[int, PydanticField(ge=2, le=4096)] = PydanticField(
        default=5, description="How many symbols there are, in their order: 0 to symbols - 1."
    )
    encoding: Literal["one-hot", "binary"] = PydanticField(
        default="one-hot",
        description="A channel for each symbol, or the symbol's number in binary, the most significant bit first.",
    )
    length: Range = PydanticField(default=Range(min=1, max=20), description="Symbols in an episode.")

    def sizes(self) -> tuple[int, int]:
        """The channels of a symbol, and one for the delimiter."""
        return self.channels() + 1, self.channels()

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return 2 * axes.get("length", self.length.max) + 1

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "symbols in an episode"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def channels(self) -> int:
        """Return the channels that one symbol takes."""
        return self.symbols if self.encoding == "one-hot" else (self.symbols - 1).bit_length()

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.sort import Sort

        return Sort(self)
