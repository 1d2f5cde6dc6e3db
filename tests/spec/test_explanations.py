from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.document import as_node, parse_document
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.explanations import MAX_PROBLEMS
from ntm_toolkit.spec.loading import validate
from ntm_toolkit.spec.strict import StrictModel


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Loose(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 0


class Item(StrictModel):
    kind: Literal["shift", "sharpen"] = "shift"
    radius: int = 1


def _as_item(value: Any) -> Item:
    if value == "shfit":
        raise PydanticCustomError("ntm", "no stage is called 'shfit'; did you mean 'shift'?")
    return Item.model_validate({"kind": value} if isinstance(value, str) else value)


Part = Annotated[Any, PlainValidator(_as_item)]


class Slotted(Item):
    slots: int


class Everything(StrictModel):
    whole: int = 0
    number: float = 0.0
    above: Annotated[float, Field(gt=0)] = 1
    least: Annotated[int, Field(ge=1)] = 1
    below: Annotated[float, Field(lt=1)] = 0
    most: Annotated[int, Field(le=5)] = 0
    even: Annotated[int, Field(multiple_of=2)] = 0
    choice: Literal["eager", "compile", "fused"] = "eager"
    colour: Colour = Colour.RED
    several: Annotated[list[int], Field(min_length=1, max_length=2)] = Field(default=[1])
    text: Annotated[str, Field(min_length=1, max_length=5, pattern="^[a-z]*$")] = "x"
    item: Item = Item()
    loose: Loose = Loose()
    knots: dict[int, float] = Field(default={})
    either: int | Literal["all", "none"] = 0
    mixed: list[int] | Item | None = None
    parts: list[Part] = Field(default=[])
    own: int = 0
    custom: int = 0

    @field_validator("own")
    @classmethod
    def _own(cls, own: int) -> int:
        if own:
            raise ValueError("own must stay 0")
        return own

    @field_validator("custom")
    @classmethod
    def _custom(cls, custom: int) -> int:
        if custom:
            raise PydanticCustomError("ntm", "{text}", {"text": "no {braces} are lost"})
        return custom

    @model_validator(mode="after")
    def _together(self) -> Everything:
        if self.whole == 7:
            raise ValueError("7 does not go with this")
        return self


class Needy(StrictModel):
    model: Item
    task: str


def errors_of(text: str, model: type[BaseModel] = Everything) -> list[str]:
    with pytest.raises(SpecError) as caught:
        validate(parse_document(text, "x.yaml"), model)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whole: 1.5", "x.yaml:1:8 whole: expected a whole number, got 1.5"),
        ("whole: [1]", "x.yaml:1:8 whole: expected a whole number, got a list of 1"),
        ("whole:", "x.yaml:1:7 whole: expected a whole number, got nothing"),
        ("number: off", "x.yaml:1:9 number: expected a number, got 'off' (a string)"),
        ("above: 0", "x.yaml:1:8 above: expected a number above 0, got 0"),
        ("least: 0", "x.yaml:1:8 least: expected a number of at least 1, got 0"),
        ("below: 1.5", "x.yaml:1:8 below: expected a number below 1, got 1.5"),
        ("most: 9", "x.yaml:1:7 most: expected a number of at most 5, got 9"),
        ("even: 3", "x.yaml:1:7 even: expected a multiple of 2, got 3"),
        (
            "choice: fusd",
            "x.yaml:1:9 choice: expected 'eager', 'compile' or 'fused', got 'fusd' (a string); did you mean 'fused'?",
        ),
        ("choice: 3", "x.yaml:1:9 choice: expected a string, got 3"),
        ("colour: bleu", "x.yaml:1:9 colour: expected 'red' or 'blue', got 'bleu' (a string); did you mean 'blue'?"),
        ("several: []", "x.yaml:1:10 several: expected at least 1 item, got 0"),
        ("several: [1, 2, 3]", "x.yaml:1:10 several: expected at most 2 items, got 3"),
        ("several: 3", "x.yaml:1:10 several: expected a list, got 3"),
        ("several: [1, x]", "x.yaml:1:14 several.1: expected a whole number, got 'x' (a string)"),
        ("text: ''", "x.yaml:1:7 text: expected a string that is not empty"),
        ("text: abcdef", "x.yaml:1:7 text: expected at most 5 characters, got 'abcdef' (a string)"),
        ("text: A", "x.yaml:1:7 text: expected a string like ^[a-z]*$, got 'A' (a string)"),
        ("item: 3", "x.yaml:1:7 item: expected a mapping, got 3"),
        (
            "item: {kind: shfit}",
            "x.yaml:1:14 item.kind: expected 'shift' or 'sharpen', got 'shfit' (a string); did you mean 'shift'?",
        ),
        (
            "item: {raduis: 1}",
            "x.yaml:1:8 item.raduis: no field is called 'raduis' here; did you mean 'radius'? (fields: kind, radius)",
        ),
        ("loose: {b: 1}", "x.yaml:1:9 loose.b: no field is called 'b' here"),
        ("knots: {0: 1, x: 2}", "x.yaml:1:15 knots.x: expected a whole number, got 'x' (a string)"),
        ("knots: {0: 1, 5: x}", "x.yaml:1:18 knots.5: expected a number, got 'x' (a string)"),
        (
            "either: al",
            "x.yaml:1:9 either: expected a whole number or 'all' or 'none', got 'al' (a string); did you mean 'all'?",
        ),
        ("mixed: 3", "x.yaml:1:8 mixed: expected a list or a mapping, got 3"),
        ("mixed: [1, x]", "x.yaml:1:12 mixed.1: expected a whole number, got 'x' (a string)"),
        ("own: 1", "x.yaml:1:6 own: own must stay 0"),
        ("custom: 1", "x.yaml:1:9 custom: no {braces} are lost"),
        ("item: {}\nwhole: 7", "x.yaml:1:1: 7 does not go with this"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(text: str, message: str):
    """Each kind of error names its place, what was given and what would be right."""
    assert errors_of(text) == [message]


def test_missing_fields_are_placed_where_they_belong():
    """A missing field is reported by its path, at the mapping that lacks it."""
    assert errors_of("model: {}\n", Needy) == ["x.yaml:1:1 task: this field is required, and missing"]


def test_all_errors_are_told_in_the_order_of_the_file():
    """One validation finds everything, from top to bottom."""
    lines = errors_of("zz: 1\nitem: {kind: shfit}\nabove: 0\nwhole: x\n")
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4"]


def test_parts_go_by_their_names():
    """An error inside a part names the part; one about a bare string gives its index, for the message quotes it."""
    assert errors_of("parts:\n- sharpen\n- {kind: shift, radius: x}\n- shfit\n") == [
        "x.yaml:3:25 parts.shift.radius: expected a whole number, got 'x' (a string)",
        "x.yaml:4:3 parts.2: no stage is called 'shfit'; did you mean 'shift'?",
    ]


def test_a_bare_string_is_the_place_of_all_in_its_part():
    """Where a part is only a string, what is wrong inside the part is placed there."""

    class Holder(StrictModel):
        part: Annotated[Any, PlainValidator(lambda value: Slotted.model_validate({"kind": value}))]

    assert errors_of("part: shfit", Holder) == [
        "x.yaml:1:7 part.kind: expected 'shift' or 'sharpen', got 'shfit' (a string); did you mean 'shift'?",
        "x.yaml:1:7 part.slots: this field is required, and missing",
    ]


def test_errors_without_a_file_still_have_paths():
    """A document made in Python has paths but no positions."""
    with pytest.raises(SpecError) as caught:
        validate(as_node({"whole": "x"}), Everything)
    assert str(caught.value) == "whole: expected a whole number, got 'x' (a string)"


def test_a_flood_of_errors_is_cut_short():
    """After a hundred problems the rest are counted."""
    lines = errors_of(f"knots: {{{', '.join(f'{i}: x' for i in range(500))}}}")
    assert len(lines) == MAX_PROBLEMS + 1
    assert lines[-1] == "and at least 400 more like these"
