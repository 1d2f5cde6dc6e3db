"""The base of every model that a spec is made of: nothing unknown passes, nothing changes once it is made."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType
from typing_extensions import TypeAliasType

from ntm_toolkit.spec.errors import describe
from ntm_toolkit.spec.suggestions import did_you_mean

LARGEST = 1e30
"""What no real number in a spec exceeds in size, so that float32 holds it and what is made of it."""

_BUILT_IN_ERROR_TYPES = frozenset(get_args(ErrorType))


class StrictModel(BaseModel):
    """An immutable pydantic model that refuses unknown fields and names the field that was probably meant.

    The refusal is an error of type `ntm` at the location of the unknown key, so that its message reaches the user as
    it stands; every other error of the same model is reported beside it. A number, a truth value and a string are
    never taken for one another, as pydantic would (`slots: true` is not 1); a whole number may be written `1e6`, and
    no real number is larger than `LARGEST`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_known_fields(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if not any(_is_unknown_field(detail) for detail in details):
                raise
            fields = [field.alias or name for name, field in cls.model_fields.items()]
            raise ValidationError.from_exception_data(
                error.title, [_restated(detail, fields) for detail in details]
            ) from None

    @field_validator("*", mode="before")
    @classmethod
    def _keep_scalars_apart(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool | int | float | str) and info.field_name in cls.model_fields:
            alternatives = _alternatives(cls.model_fields[info.field_name].annotation)
            expected = _scalar_mistaken(value, alternatives)
            if not expected and not isinstance(value, str) and float in alternatives and abs(value) > LARGEST:
                expected = f"a number of at most {LARGEST:g} in size"
            if expected:
                raise PydanticCustomError("ntm", "{text}", {"text": f"expected {expected}, got {describe(value)}"})
        return value


def unknown_field_message(given: str, fields: list[str]) -> str:
    """Return what is said of a field that does not exist, with the ones that do."""
    known = f"fields: {', '.join(fields)}" if fields else "it has no fields"
    return f"no field is called '{given}' here{did_you_mean(given, fields)} ({known})"


def _is_unknown_field(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1


def _restated(detail: ErrorDetails, fields: list[str]) -> InitErrorDetails:
    kind: str | PydanticCustomError = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    if _is_unknown_field(detail):
        text = unknown_field_message(str(detail["loc"][0]), fields)
        kind = PydanticCustomError("ntm", "{text}", {"text": text, "at": "key"})
    elif kind not in _BUILT_IN_ERROR_TYPES:
        # A custom error keeps its message word for word: the template is rendered already, so it must not be again.
        kind = PydanticCustomError(detail["type"], "{text}", {**context, "text": detail["msg"]})
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)


def _alternatives(annotation: Any) -> set[Any]:
    """Return the types that a value may have, looking through unions, aliases, `Annotated` and `Literal`."""
    if isinstance(annotation, TypeAliasType):
        return _alternatives(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin is Literal:
        return {type(choice) for choice in get_args(annotation)}
    if origin in (Union, UnionType):
        return set().union(*map(_alternatives, get_args(annotation)))
    return {annotation}


def _scalar_mistaken(value: bool | int | float | str, alternatives: set[Any]) -> str | None:
    """Return what was expected in place of `value`, or None where one of the alternatives may well take it."""
    scalars = alternatives - {NoneType}
    if not scalars <= {bool, int, float, str} or not scalars:
        return None
    if isinstance(value, bool):
        fits = bool in scalars
    elif isinstance(value, str):
        fits = str in scalars
    else:
        fits = bool(scalars & {int, float})
    if fits:
        return None
    names = [
        *(["a whole number"] if int in scalars and float not in scalars else []),
        *(["a number"] if float in scalars else []),
        *(["true or false"] if bool in scalars else []),
        *(["a string"] if str in scalars else []),
    ]
    return " or ".join(names)
