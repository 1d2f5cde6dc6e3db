"""Repeat copy (Graves et al. 2014, section 4.2), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class RepeatCopySpec(TaskSpec):
    """See a sequence of random bit vectors, then how often it is wanted; then output it that many times, and a marker.

    The number comes as one real number on a channel of its own, together with the delimiter. An episode of length L and
    R repeats takes L + 1 + L R steps (one more with a start flag, one more with an end marker). With `bits: 6` the
    channels are as many as the paper's, 8 in and 7 out.
    """

    kind: Literal["repeat-copy"] = "repeat-copy"
    bits: Annotated[int, PydanticField(ge=1, le=4096)] = PydanticField(default=8, description="Bits of each vector.")
    length: Range = PydanticField(default=Range(min=1, max=10), description="Vectors in the sequence.")
    repeats: Range = PydanticField(default=Range(min=1, max=10), description="How many times it is to be output.")
    repeats_as: Literal["normalized", "raw"] = PydanticField(
        default="normalized",
        description="How their number is shown: shifted and scaled so that those drawn in training have mean 0 and "
        "variance 1 (by the same line beyond them, and only shifted where there is but one), or as it is. Where a "
        "curriculum changes how many there are, those drawn in training are those of the phase.",
    )
    repeats_scale: Annotated[float, PydanticField(gt=0, allow_inf_nan=False)] = PydanticField(
        default=1.0, description="What their number, raw or normalized, is multiplied by when it is shown."
    )
    wrong_numbers: Annotated[float, PydanticField(ge=0, le=1)] = PydanticField(
        default=0.0,
        description="In what share of episodes the number that is shown is drawn anew, whatever is wanted. Where it "
        "comes out wrong, neither the end marker nor its step is scored, since when to end cannot be known. For phases "
        "of training, in which a machine learns to go on repeating whatever its count.",
    )
    wrong_range: Range | None = PydanticField(
        default=None, description="What numbers are drawn anew from, which may be larger ones; `repeats` unless given."
    )
    start_flag: bool = PydanticField(
        default=False, description="Whether a flag on a channel of its own comes before the sequence."
    )
    end_marker: bool = PydanticField(
        default=True, description="Whether the output ends with a marker on a channel of its own."
    )

    score_vectors_at_end: bool = PydanticField(
        default=True,
        description="Whether the step of the end marker scores the bits of a vector, too, which are 0 there; otherwise "
        "it scores the marker alone, and a marker that comes too early costs no vector.",
    )

    def sizes(self) -> tuple[int, int]:
        """Bits, the delimiter, the number of repeats and the start flag; bits and the end marker."""
        return self.bits + 2 + self.start_flag, self.bits + self.end_marker

    def longest(self, **axes: int) -> int:
        """Steps at the largest length and the most repeats, or at those that are given."""
        length, repeats = axes.get("length", self.length.max), axes.get("repeats", self.repeats.max)
        return length + 1 + length * repeats + self.start_flag + self.end_marker

    def axes(self) -> Mapping[str, str]:
        """It generalises in length and in repeats."""
        return {"length": "vectors in the sequence", "repeats": "how many times it is to be output"}

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits, and where the wrong bits are: in the repeated vectors or about the marker."""
        return (*BIT_METRICS, "payload_errors", *(["marker_errors"] if self.end_marker else []))

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.repeat_copy import RepeatCopy

        return RepeatCopy(self)
