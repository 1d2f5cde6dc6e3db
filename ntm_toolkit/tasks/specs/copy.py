"""The copy task (Graves et al. 2014, section 4.1), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class CopySpec(TaskSpec):
    """See a sequence of random bit vectors, then a delimiter; then output the sequence, with no input to help.

    An episode of length L takes 2 L + 1 steps (one more with a start flag, one more with an end marker).
    """

    kind: Literal["copy"] = "copy"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=8, description="Bits of each vector.")
    length: Range = PydanticField(default=Range(min=1, max=20), description="Vectors in an episode.")
    start_flag: bool = PydanticField(
        default=False, description="Whether a flag on a channel of its own comes before the sequence."
    )
    end_marker: bool = PydanticField(
        default=False, description="Whether the output ends with a marker on a channel of its own."
    )
    zero_vectors: Annotated[float, PydanticField(ge=0, le=1)] = PydanticField(
        default=0.0,
        description="What share of the vectors is made all zeros, beside those that come out so by chance. They look "
        "like the steps of output; for phases of training, in which a controller without a state learns to tell them "
        "apart.",
    )

    def sizes(self) -> tuple[int, int]:
        """Bits and one channel for each flag."""
        return self.bits + 1 + self.start_flag, self.bits + self.end_marker

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return 2 * axes.get("length", self.length.max) + 1 + self.start_flag + self.end_marker

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "vectors in an episode"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits."""
        return BIT_METRICS

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.copy import Copy

        return Copy(self)
