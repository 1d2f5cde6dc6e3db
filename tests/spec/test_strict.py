from __future__ import annotations

import copy
import pickle
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.strict import StrictModel


class Memory(StrictModel):
    kind: Literal["matrix"] = "matrix"
    slots: Annotated[int, Field(ge=1)] = 128
    sharing: bool = False
    scale: float | None = None
    label: str = ""
    choice: int | Literal["all"] = "all"

    @field_validator("slots")
    @classmethod
    def _not_unlucky(cls, slots: int) -> int:
        if slots == 13:
            raise ValueError("13 {slots} bring bad luck")
        if slots == 17:
            raise PydanticCustomError("ntm", "{text}", {"text": "17 {slots} do too", "slots": slots})
        return slots


class Model(StrictModel):
    memory: Memory = Memory()
    part: Any = None

    @field_validator("part", mode="plain")
    @classmethod
    def _as_part(cls, value: Any) -> Memory | None:
        return None if value is None else Memory.model_validate(value)

    @model_validator(mode="after")
    def _fits(self) -> Model:
        if self.memory.slots == 99:
            raise ValueError("99 do not fit")
        return self


def errors_of(data: object, model: type[StrictModel] = Model) -> dict[str, tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return {".".join(map(str, error["loc"])): (error["type"], error["msg"]) for error in caught.value.errors()}


def test_an_unknown_field_is_an_error_at_its_key_with_a_suggestion():
    """A misspelt field is reported where it stands, with the field that was meant and all there are."""
    errors = errors_of({"memory": {"slotz": 3}, "part": {"slotz": 3}, "x": 1})
    said = "no field is called 'slotz' here; did you mean 'slots'? (fields: kind, slots, sharing, scale, label, choice)"
    assert errors == {
        "memory.slotz": ("ntm", said),
        "part.slotz": ("ntm", said),
        "x": ("ntm", "no field is called 'x' here (fields: memory, part)"),
    }


def test_other_errors_are_reported_beside_unknown_fields():
    """Nothing hides behind a misspelt field, and every message is what it was."""
    data = {"kind": "matrx", "slots": 13, "y": 1}
    alone = errors_of({"kind": "matrx", "slots": 13}, Memory)
    errors = errors_of({"memory": data, "part": {"slots": 17, "y": 1}, "x": 1})
    assert errors["memory.slots"] == alone["slots"] == ("value_error", "Value error, 13 {slots} bring bad luck")
    assert errors["memory.kind"] == alone["kind"]
    assert errors["part.slots"] == ("ntm", errors_of({"slots": 17}, Memory)["slots"][1])
    assert {"memory.y", "part.y", "x"} < set(errors)


def test_a_part_of_a_class_with_other_fields_is_validated_by_its_own():
    """A subclass suggests its own fields, inherited ones included."""

    class Rolling(Memory):
        distance: int = 1

    assert "did you mean 'distance'" in errors_of({"distnace": 1}, Rolling)["distnace"][1]
    assert "did you mean 'slots'" in errors_of({"slot": 1}, Rolling)["slot"][1]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("slots", True, "expected a whole number, got true"),
        ("slots", "64", "expected a whole number, got '64' (a string)"),
        ("sharing", 1, "expected true or false, got 1"),
        ("sharing", "yes", "expected true or false, got 'yes' (a string)"),
        ("scale", "1e-3", "expected a number, got '1e-3' (a string)"),
        ("scale", False, "expected a number, got false"),
        ("scale", 1e31, "expected a number of at most 1e+30 in size, got 1e+31"),
        ("scale", -(10**31), "expected a number of at most 1e+30 in size, got -10000000000000000000000000000000"),
        ("label", 3, "expected a string, got 3"),
        ("choice", True, "expected a whole number or a string, got true"),
    ],
)
def test_scalars_are_not_taken_for_one_another(field: str, value: object, expected: str):
    """A truth value is no number, nor is a string that looks like one."""
    assert errors_of({field: value}, Memory) == {field: ("ntm", expected)}


def test_numbers_are_numbers_however_they_are_written():
    """A whole number may be written with an exponent, and any number without a point."""
    memory = Memory.model_validate({"slots": 1e6, "scale": 2, "choice": 3})
    assert (memory.slots, memory.scale, memory.choice) == (1_000_000, 2.0, 3)
    assert type(memory.slots) is int


def test_models_are_immutable_and_can_be_copied():
    """A model never changes; copies and pickles are equal to it."""
    model = Model(memory=Memory(slots=3))
    with pytest.raises(ValidationError):
        model.part = None  # type: ignore[misc]
    assert copy.deepcopy(model) == pickle.loads(pickle.dumps(model)) == model
    assert model.model_copy(update={"part": Memory()}).part == Memory()
    assert Model.model_validate(model) is model
    assert Model.model_validate_json(model.model_dump_json()) == model


def test_the_schema_is_that_of_the_fields():
    """The strictness shows in the JSON Schema as nothing but the ban on other fields."""
    schema = Memory.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["slots"] == {"default": 128, "minimum": 1, "title": "Slots", "type": "integer"}


def test_annotated_validators_see_values_of_the_right_type():
    """The check on scalars comes before a field's own."""

    class Odd(StrictModel):
        value: Annotated[int, AfterValidator(lambda value: value + 1)] = 0

    assert Odd.model_validate({"value": 2}).value == 3
    assert errors_of({"value": True}, Odd)["value"][1] == "expected a whole number, got true"
