"""Priority sort (Graves et al. 2014, section 4.5), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import Count, TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class PrioritySortSpec(TaskSpec):
    """See random bit vectors, each with a priority ~ U[-1, 1]; after a delimiter output the highest, highest first.

    Vectors move as wholes. An episode of n items takes n + 1 + min(kept, n) steps.
    """

    kind: Literal["priority-sort"] = "priority-sort"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=8, description="Bits of each vector.")
    items: Range = PydanticField(default=Range(min=20, max=20), description="Vectors that come in.")
    kept: Count = PydanticField(
        default=16, description="How many vectors go out, those of highest priority; all of them where fewer come in."
    )

    priority_scale: Annotated[float, PydanticField(gt=0, allow_inf_nan=False)] = PydanticField(
        default=1.0, description="What each priority is multiplied by when it is shown."
    )

    def sizes(self) -> tuple[int, int]:
        """Bits, the priority and the delimiter; bits."""
        return self.bits + 2, self.bits

    def longest(self, **axes: int) -> int:
        """Steps with the most items, or as many as are given."""
        items = axes.get("items", self.items.max)
        return items + 1 + min(axes.get("kept", self.kept), items)

    def axes(self) -> Mapping[str, str]:
        """It generalises in how many items come in, and in how many go out."""
        return {"items": "vectors that come in", "kept": "vectors that go out"}

    def trained(self) -> Mapping[str, range]:
        """How many items come in; to keep more of them than come in means nothing."""
        return {"items": range(self.items.min, self.items.max + 1)}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.priority_sort import PrioritySort

        return PrioritySort(self)
