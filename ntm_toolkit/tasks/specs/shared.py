"""What the declarations of several tasks have in common: ranges of sizes, and the metrics of tasks on bits."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.families import Count
from ntm_toolkit.spec.strict import StrictModel

BIT_METRICS = ("bits_per_sequence", "bit_errors", "exact")
"""What is measured of a task whose targets are independent bits."""


class Range(StrictModel):
    """Whole numbers from `min` to `max`, both included, drawn with equal probability."""

    min: Count = 1
    max: Count = 20

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError(
                "ntm", "{text}", {"text": f"min {self.min} is above max {self.max}; swap them or widen the range"}
            )
        return self
