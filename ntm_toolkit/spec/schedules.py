"""Scalars that change as training goes on: learning rates, dampings, momenta."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.errors import describe
from ntm_toolkit.spec.strict import LARGEST, StrictModel

Sequences = Annotated[int, Field(ge=0, le=10**12)]
Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class Schedule(StrictModel):
    """A scalar that changes as training goes on, through knots at numbers of training sequences."""

    knots: dict[Sequences, Value] = Field(
        description="The value at each number of sequences; before the first and after the last it stays.",
        min_length=1,
    )
    curve: Literal["linear", "geometric", "cosine", "step"] = Field(
        default="linear", description="How it goes from one knot to the next."
    )

    @model_validator(mode="after")
    def _geometric_needs_positive(self) -> Self:
        if self.curve == "geometric" and any(value <= 0 for value in self.knots.values()):
            raise PydanticCustomError("ntm", "a geometric curve needs values above 0 at every knot")
        return self

    def at(self, sequences: int) -> float:
        """Return the value after that many training sequences.

        Between knots (a, u) and (b, v), with x = (sequences - a) / (b - a), it is

            linear     u + (v - u) x
            geometric  u (v / u)^x
            cosine     u + (v - u) (1 - cos(pi x)) / 2
            step       u
        """
        places = sorted(self.knots)
        next_place = bisect_right(places, sequences)
        if next_place == 0:
            return self.knots[places[0]]
        before = places[next_place - 1]
        start = self.knots[before]
        if next_place == len(places) or self.curve == "step" or before == sequences:
            return start
        after = places[next_place]
        end, x = self.knots[after], (sequences - before) / (after - before)
        if self.curve == "geometric":
            return math.exp((1 - x) * math.log(start) + x * math.log(end))
        if self.curve == "cosine":
            x = (1 - math.cos(math.pi * x)) / 2
        return (1 - x) * start + x * end


def _as_schedule(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"knots": {0: value}}
    if not isinstance(value, Schedule | dict):
        text = f"expected a number, or a schedule such as {{knots: {{0: 1.0, 5000: 0.1}}}}, got {describe(value)}"
        raise PydanticCustomError("ntm", "{text}", {"text": text})
    return value


Scalar = Annotated[Schedule, BeforeValidator(_as_schedule, json_schema_input_type=float | Schedule)]
"""A number, or a schedule of it."""


def _values(fits: Callable[[float], bool], wanted: str) -> AfterValidator:
    def check(schedule: Schedule) -> Schedule:
        wrong = [value for value in schedule.knots.values() if not fits(value)]
        if wrong:
            raise PydanticCustomError("ntm", "{text}", {"text": f"expected {wanted}, got {wrong[0]:g}"})
        return schedule

    return AfterValidator(check)


NotNegative: TypeAlias = Annotated[Scalar, _values(lambda value: value >= 0, "a number of at least 0")]
Positive: TypeAlias = Annotated[Scalar, _values(lambda value: value > 0, "a number above 0")]
Fraction: TypeAlias = Annotated[Scalar, _values(lambda value: 0 <= value < 1, "a number from 0 to below 1")]
