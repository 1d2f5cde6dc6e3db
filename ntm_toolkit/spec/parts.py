"""The base class of every part's spec, and how a `kind:` in a file becomes the class that a plugin registered.

A *family* (stage, head, controller, ...) is a direct child of `PartSpec` without a `kind`; a *part* is a class below a
family that declares `kind: Literal["its-kind"] = "its-kind"`. A field annotated with a family accepts any registered
part of it: as an instance, as a mapping with `kind:`, or as a bare string that is short for `{kind: that}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Protocol, Self, TypeVar

from pydantic import Field as PydanticField
from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import (
    CoreSchema,
    plain_serializer_function_ser_schema,
    with_info_plain_validator_function,
)

from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.errors import describe, with_article
from ntm_toolkit.spec.strict import StrictModel

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"
FAMILY_MARK = "x-ntm-family"


class PartLookup(Protocol):
    """What a spec needs of the registry: which class a kind stands for, and the kind that always works for a class."""

    def part(self, family: type[PartSpec], kind: str) -> type[PartSpec]:
        """Return the part of that family; raise `LookupError` with a message for the user otherwise."""

    def qualified_kind(self, part: type[PartSpec]) -> str:
        """Return `distribution/kind` (`file:my_stage/kind` for a file) of a registered part."""


_lookup: ContextVar[PartLookup | None] = ContextVar("part_lookup", default=None)


@contextmanager
def looking_up(lookup: PartLookup) -> Iterator[None]:
    """Resolve kinds with `lookup` inside this block, wherever no validation context says otherwise."""
    token = _lookup.set(lookup)
    try:
        yield
    finally:
        _lookup.reset(token)


class PartSpec(StrictModel):
    """What every part's spec is: an immutable pydantic model that knows its family and its kind."""

    family: ClassVar[str] = ""
    """The family's name in messages and schemas, as in "no stage is called 'shfit'"."""
    default_kind: ClassVar[str | None] = None
    """The kind meant where a mapping of this family leaves it out."""
    differentiable: ClassVar[bool] = True
    """Whether autograd gives the derivative of what the part computes; a straight-through estimator says no."""

    @classmethod
    def is_family(cls) -> bool:
        """Whether this class stands for a whole family rather than for one kind."""
        return "kind" not in cls.model_fields

    @classmethod
    def kind_of(cls) -> str:
        """The bare kind that this part registers, from its `kind` field's default."""
        return str(cls.model_fields["kind"].default)

    def check(self, dims: Dims) -> None:
        """Raise `ValueError` where the part cannot work with those sizes; called while a model's spec is validated.

        The task's sizes, `dims.inputs` and `dims.outputs`, are not known then and read 1.
        """

    @classmethod
    def examples(cls) -> list[Self]:
        """Return the instances that `ntm_toolkit.testing` checks; one of all defaults, where there is one."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return [] if required or cls.is_family() else [cls()]

    def companions(self) -> list[PartSpec]:
        """Return the parts that it is checked beside: trackers that it needs, the memory that it is made for."""
        return []

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if not cls.family or not cls.is_family():
            return handler(source)

        def resolve(value: object, info: ValidationInfo) -> PartSpec:
            return _resolve(cls, value, info)

        return with_info_plain_validator_function(
            resolve,
            serialization=plain_serializer_function_ser_schema(_serialize, info_arg=True),
            metadata={FAMILY_MARK: cls.family},
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if not cls.family or not cls.is_family():
            return handler(schema)
        return {FAMILY_MARK: cls.family}


NamedPart = TypeVar("NamedPart", bound="NamedPartSpec")


class NamedPartSpec(PartSpec):
    """A part that stands in a list: its `name` is unique there and defaults to its kind."""

    name: str = PydanticField(
        default="",
        description="What the part is called in paths and parameter names; its kind unless given.",
    )

    @model_validator(mode="after")
    def _name_defaults_to_kind(self) -> Self:
        if not self.name and not type(self).is_family():
            object.__setattr__(self, "name", self.kind_of())
        elif self.name and not re.fullmatch(NAME_PATTERN, self.name):
            takes = "letters, digits, '-' and '_', and starts with a letter or '_'"
            raise _error(f"'{self.name}' is no name: it takes {takes}")
        return self


def distinct_names(named: list[NamedPart]) -> list[NamedPart]:
    """Return the parts of a list as they are, none of which is called as one before it; a validator for such lists.

    Raises:
        ValidationError: two have one name, at the place of the second.
    """
    seen: set[str] = set()
    doubled: list[InitErrorDetails] = []
    for index, part in enumerate(named):
        if part.name in seen:
            text = f"a second {part.family} is called '{part.name}'; give it a 'name:' of its own"
            doubled.append(InitErrorDetails(type=_error(text), loc=(index,), input=part))
        seen.add(part.name)
    if doubled:
        raise ValidationError.from_exception_data("names", doubled)
    return named


def _resolve(family: type[PartSpec], value: object, info: ValidationInfo) -> PartSpec:
    if isinstance(value, family):
        return value
    if isinstance(value, PartSpec):
        raise _error(f"expected {with_article(family.family)}, got the {value.family} '{value.kind_of()}'")
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping):
        expected = f"{with_article(family.family)} (a kind, or a mapping with 'kind:')"
        raise _error(f"expected {expected}, got {describe(value)}")
    kind = value.get("kind", family.default_kind)
    if kind is None:
        raise _error(f"{with_article(family.family)} needs a 'kind:'")
    if not isinstance(kind, str):
        raise _error(f"a kind is a word, got {describe(kind)}")
    lookup = (info.context or {}).get("registry") or _lookup.get()
    if lookup is None:
        raise _error(
            f"the {family.family} '{kind}' is given by its kind, and no plugins are loaded to look it up; "
            "use ntm_toolkit.load_spec, or pass the part itself"
        )
    try:
        part = lookup.part(family, kind)
    except LookupError as error:
        raise _error(str(error.args[0])) from None
    return part.model_validate({**value, "kind": part.kind_of()}, context=info.context)


def _serialize(value: PartSpec, info: SerializationInfo) -> dict[str, Any]:
    data = value.model_dump(
        mode=info.mode,
        context=info.context,
        exclude_defaults=info.exclude_defaults,
        exclude_unset=info.exclude_unset,
    )
    lookup = (info.context or {}).get("registry")
    kind = lookup.qualified_kind(type(value)) if lookup is not None else value.kind_of()
    return {"kind": kind, **{key: item for key, item in data.items() if key != "kind"}}


def _error(message: str) -> PydanticCustomError:
    return PydanticCustomError("ntm", "{text}", {"text": message})
