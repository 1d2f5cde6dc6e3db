"""What an ablation file may say: a base, seeds, what to vary and how to combine it, a budget, and what is measured.

ablation: 1
base: ../copy.yaml
seeds: 10
vary:
  - leave-one-out: model.heads.*.addressing
  - set: {path: model.memory.slots, values: [16, 32]}
combine: one-at-a-time
budget: {sequences: 20000}
measure: [solved, {bit_errors: {length: 120}}]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.errors import describe
from ntm_toolkit.spec.experiment import Axes, StopRule
from ntm_toolkit.spec.parts import NAME_PATTERN
from ntm_toolkit.spec.strict import StrictModel

Combine = Literal["one-at-a-time", "pairs", "factorial"]
Value = Any
PartValue = str | dict[str, Any]

DERIVED = ("solved", "sequences_to_solve")
"""Measures that are no metric of a task: whether, and after how many sequences, all stop rules of the base held."""


def _refused(text: str) -> PydanticCustomError:
    return PydanticCustomError("ntm", "{text}", {"text": text})


class SetSpec(StrictModel):
    """Other values at a path: one variant for each."""

    path: str = Field(description="What is set; the base must have it.")
    values: Annotated[list[Value], Field(min_length=1)] | None = Field(default=None, description="One variant each.")
    value: Value = Field(default=None, description="In place of values, where there is one.")

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if len(self.model_fields_set & {"values", "value"}) != 1 or (
            self.values is None and "value" not in self.model_fields_set
        ):
            raise _refused("'set' takes a path and either values, a list, or value")
        return self

    def each(self) -> list[Value]:
        """Return the values."""
        return [self.value] if self.values is None else self.values


class EntrySpec(StrictModel):
    """One thing to vary: exactly one of these."""

    remove: str | None = Field(default=None, description="The variant without what this path selects.")
    leave_one_out: str | None = Field(
        default=None,
        alias="leave-one-out",
        description="The path of a list: a variant without each of its items in turn.",
    )
    neutral: str | None = Field(
        default=None, description="The stages that let the weighting through, with all their parameters."
    )
    freeze: str | None = Field(default=None, description="The parts whose parameters keep their initial values.")
    swap: dict[str, PartValue | list[PartValue]] | None = Field(
        default=None,
        description="A path and other kinds for the part there, a variant each. What both kinds declare alike is kept.",
    )
    set: SetSpec | None = Field(default=None, description="A path and other values, a variant each.")
    together: GroupSpec | None = Field(default=None, description="Several changes that make one variant.")

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        given = sorted(self.model_fields_set)
        if len(given) != 1 or getattr(self, given[0]) is None:
            names = [field.alias or name for name, field in type(self).model_fields.items()]
            got = describe(dict.fromkeys(given, 0)) if given else "an empty mapping"
            raise _refused(f"each entry is exactly one of {', '.join(names)}; got {got}")
        if self.swap is not None and len(self.swap) != 1:
            raise _refused("'swap' takes one path with its kinds; write an entry for each path, or 'together'")
        return self

    @property
    def what(self) -> str:
        """Which of them it is, as it is written."""
        (name,) = self.model_fields_set
        return type(self).model_fields[name].alias or name


class GroupSpec(StrictModel):
    """Several changes that make one variant, applied in order."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)] = Field(description="What the variant is called.")
    changes: Annotated[list[EntrySpec], Field(min_length=1)] = Field(
        description="What is changed; each of one value, and no leave-one-out or together."
    )


class BudgetSpec(StrictModel):
    """How long every run is trained, solved or not."""

    sequences: Annotated[int, Field(ge=1, le=10**12)] = Field(description="Training sequences of each run.")


class MeasureSpec(StrictModel):
    """Something that is measured of each run, in training's distribution or at axes held fixed."""

    metric: str = Field(description="solved, sequences_to_solve, or a metric of the task.")
    axes: Axes = Field(default={}, description="Axes of the task held fixed.")

    @property
    def label(self) -> str:
        """What it is called in results: `bit_errors[length=120]`."""
        held = ",".join(f"{axis}={value}" for axis, value in self.axes.items())
        return f"{self.metric}[{held}]" if held else self.metric


def _measure(value: Any) -> Any:
    if isinstance(value, str):
        return {"metric": value}
    if isinstance(value, Mapping) and len(value) == 1 and "metric" not in value:
        [(metric, axes)] = value.items()
        return {"metric": metric, "axes": axes}
    return value


MeasureItem = Annotated[MeasureSpec, BeforeValidator(_measure, json_schema_input_type=str | dict[str, Axes])]


def _distinct(seeds: int | list[int]) -> int | list[int]:
    if isinstance(seeds, list) and len(set(seeds)) < len(seeds):
        raise _refused("a seed is given twice")
    return seeds


class AblationSpec(StrictModel):
    """A base experiment and the variants of it that are compared with it."""

    ablation: Literal[1] = Field(default=1, description="The format's version.")
    base: str = Field(description="The experiment: a file beside this one, or a shipped spec's name without a suffix.")
    seeds: Annotated[
        Annotated[int, Field(ge=1, le=10_000)]
        | Annotated[list[Annotated[int, Field(ge=0, lt=1 << 63)]], Field(min_length=1, max_length=10_000)],
        AfterValidator(_distinct),
    ] = Field(description="How many seeds, from 0 on, or a list of them; each variant is trained with all.")
    vary: Annotated[list[EntrySpec], Field(min_length=1)] = Field(description="What is changed.")
    combine: Combine = Field(
        default="one-at-a-time",
        description="one-at-a-time: a variant for each change; pairs: these, and two changes at a time; factorial: "
        "every combination.",
    )
    also: list[EntrySpec] = Field(default=[], description="More changes that are combined with no other.")
    budget: BudgetSpec | None = Field(default=None, description="The base's own unless given.")
    solved: Annotated[list[StopRule], Field(min_length=1)] | None = Field(
        default=None, description="What counts as solved, as under training.stop; the base's own rules unless given."
    )
    measure: Annotated[list[MeasureItem], Field(min_length=1)] = Field(description="What is compared.")
    held_out: Annotated[int, Field(ge=1, le=1 << 24)] | None = Field(
        default=None, description="Sequences on which each is measured; the base's evaluation.sequences unless given."
    )

    def seed_list(self) -> tuple[int, ...]:
        """Return the seeds."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)
