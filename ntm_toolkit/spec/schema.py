"""The JSON Schema of a spec file, for exactly the parts that are installed, from which an editor completes and checks.

Each family of parts is one definition, to which every place that takes such a part refers: a bare string for a part
that needs nothing else, or a mapping with `kind:`. The schema is made anew each time, because plugins come and go.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from ntm_toolkit.spec.families import FAMILIES
from ntm_toolkit.spec.parts import FAMILY_MARK, PartSpec

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REF = "#/$defs/"
_NAMED_SCHEMAS = ("properties", "patternProperties")
_VALUES = ("default", "const", "enum", "examples")
_PATH: Schema = {"type": "string", "pattern": r"^[^\s.\[\]=]+(\.[^\s.\[\]=]+)*$"}
_CHANGES: dict[str, tuple[str, Schema]] = {
    "set": (
        "Gives a value to what each path leads to.",
        {"type": "object", "propertyNames": _PATH, "minProperties": 1},
    ),
    "remove": (
        "Takes out what the path, or each path of a list, leads to.",
        {"anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1}]},
    ),
    "insert": (
        "Puts a part before or after an item of a list.",
        {
            "type": "object",
            "properties": {"before": _PATH, "after": _PATH, "part": {"description": "The new item."}},
            "required": ["part"],
            "oneOf": [{"required": ["before"]}, {"required": ["after"]}],
            "additionalProperties": False,
        },
    ),
}


class RegisteredPart(Protocol):
    """A part under the kind that always works, as a registry holds it."""

    @property
    def family(self) -> str:
        """Return the name of its family."""

    @property
    def part(self) -> type[PartSpec]:
        """Return its class."""

    @property
    def qualified_kind(self) -> str:
        """Return `distribution/kind`."""


Registered = TypeVar("Registered", bound=RegisteredPart)


class PartCatalogue(Protocol[Registered]):
    """What a schema needs of the registry."""

    def parts(self) -> Sequence[Registered]:
        """Return every part that is registered."""

    def spellings(self, registration: Registered, /) -> tuple[str, ...]:
        """Return the kinds by which a file can name a part."""


def json_schema(registry: PartCatalogue[Registered], model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of files that state a `model`, with the parts that are installed.

    A document with a format version (`spec:`) may instead inherit from another one with `base:` and `patch:`; then
    nothing else is required of it.

    Args:
        registry: the parts.
        model: what a whole file states, such as the experiment.
    """
    schema = _Writer(registry).document(model)
    if "spec" in model.model_fields and "base" not in model.model_fields:
        _allow_inheritance(schema)
    return {"$schema": DIALECT, **schema}


class _Generator(GenerateJsonSchema):
    """Pydantic's schema without the titles that only repeat a field's name, and without warnings."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Writer(Generic[Registered]):
    """Gathers the definitions of one schema."""

    def __init__(self, registry: PartCatalogue[Registered]) -> None:
        self._registry = registry
        self._registered: dict[str, list[Registered]] = {}
        for registration in registry.parts():
            self._registered.setdefault(registration.family, []).append(registration)
        self._definitions: dict[str, Schema] = {}
        self._nested: dict[str, Schema] = {}
        """Definitions of ordinary models as pydantic made them, by which equal ones are recognised."""
        families = {*self._registered, *(family.family for family in FAMILIES)}
        self._names = {family: family for family in sorted(families)}
        for family, registrations in self._registered.items():
            for registration in registrations:
                kind = registry.spellings(registration)[0]
                self._names[_key(registration)] = self._free_name(f"{family}.{kind}")

    def document(self, model: type[BaseModel]) -> Schema:
        schema = self._standalone(model, model.__name__)
        for family in sorted(self._registered):
            self._refer_to(family)
        return {**schema, "$defs": dict(sorted(self._definitions.items()))}

    def _refer_to(self, family: str) -> str:
        """Return the reference to a family's definition, which is written first if it is not yet."""
        if family not in self._names:  # a plugin's own, of which nothing is registered
            self._names[family] = self._free_name(family)
        name = self._names[family]
        if name not in self._definitions:
            self._definitions[name] = {}  # families contain each other
            self._definitions[name] = self._family(family)
        return _REF + name

    def _family(self, family: str) -> Schema:
        registrations = self._registered.get(family, [])
        if not registrations:
            return {"description": f"No plugin that provides this ({family}) is installed.", "not": {}}
        alternatives: list[Schema] = []
        for registration in registrations:
            spellings = self._registry.spellings(registration)
            if not _needs_more_than_its_kind(registration.part):
                alternatives.append({"enum": list(spellings), "description": _summary(registration.part)})
        for registration in registrations:
            name = self._names[_key(registration)]
            self._definitions[name] = self._variant(registration, name)
            alternatives.append({"$ref": _REF + name})
        base = next(base for base in registrations[0].part.__mro__ if base.__dict__.get("family") == family)
        return {"description": _summary(base), "anyOf": alternatives}

    def _variant(self, registration: Registered, name: str) -> Schema:
        spellings = self._registry.spellings(registration)
        part = registration.part
        try:
            schema = self._standalone(part, name)
        except Exception as error:  # a plugin's type without a schema must not cost the user everybody else's
            schema = {"type": "object", "description": f"{_summary(part)} (It has no schema: {type(error).__name__}.)"}
        is_default = part.default_kind in spellings
        kind: Schema = {"enum": list(spellings), "description": _summary(part)}
        if is_default:
            kind["default"] = part.default_kind
        required = [field for field in schema.get("required", []) if field != "kind"]
        properties = {field: value for field, value in schema.get("properties", {}).items() if field != "kind"}
        schema.pop("required", None)
        if required or not is_default:
            schema["required"] = [*([] if is_default else ["kind"]), *required]
        return {**schema, "title": f"{registration.family} {spellings[0]}", "properties": {"kind": kind, **properties}}

    def _standalone(self, model: type[BaseModel], name: str) -> Schema:
        """Return the schema of a model by itself, what it refers to hoisted to the definitions of the whole."""
        schema = model.model_json_schema(schema_generator=_Generator, mode="validation")
        nested: dict[str, Schema] = schema.pop("$defs", {})
        clashing = any(
            key in self._names.values() or self._nested.get(key, definition) != definition
            for key, definition in nested.items()
        )
        hoisted = {key: self._free_name(f"{name}.{key}") if clashing else key for key in nested}
        for key, definition in nested.items():
            if hoisted[key] not in self._nested:
                self._nested[hoisted[key]] = definition
                self._definitions[hoisted[key]] = self._resolved(definition, hoisted)
        if set(schema) == {"$ref"}:  # a model that contains itself
            schema = nested[schema["$ref"].removeprefix(_REF)]
        resolved: Schema = self._resolved(schema, hoisted)
        return resolved

    def _resolved(self, value: Any, hoisted: dict[str, str]) -> Any:
        """Return a schema with references to families and to hoisted definitions in place of marks and local ones."""
        if isinstance(value, list):
            return [self._resolved(item, hoisted) for item in value]
        if not isinstance(value, dict):
            return value
        resolved: Schema = {}
        for key, item in value.items():
            if key == FAMILY_MARK:
                resolved["$ref"] = self._refer_to(item)
            elif key == "$ref" and isinstance(item, str):
                resolved[key] = _REF + hoisted[item.removeprefix(_REF)]
            elif key in _NAMED_SCHEMAS:
                resolved[key] = {name: self._resolved(schema, hoisted) for name, schema in item.items()}
            elif key in _VALUES:
                resolved |= {key: item} if _is_json(item) else {}
            else:
                resolved[key] = self._resolved(item, hoisted)
        return resolved

    def _free_name(self, wanted: str) -> str:
        plain = re.sub(r"[^\w.-]", "_", re.sub(r"[/:]", ".", wanted), flags=re.ASCII)
        taken = {*self._names.values(), *self._nested}
        return next(name for name in _numbered(plain) if name not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, 1 << 20))


def _key(registration: RegisteredPart) -> str:
    return f"{registration.family} {registration.qualified_kind}"


def _needs_more_than_its_kind(part: type[PartSpec]) -> bool:
    return any(field.is_required() for name, field in part.model_fields.items() if name != "kind")


def _summary(part: type) -> str:
    """Return the first paragraph of a class's docstring, in one line."""
    return " ".join((inspect.getdoc(part) or "").split("\n\n")[0].split())


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _allow_inheritance(schema: Schema) -> None:
    """Let a document inherit: beside `base:` stand only the changes, and what the model requires may be inherited."""
    beside = {key: schema["properties"][key] for key in ("spec", "requires") if key in schema["properties"]}
    schema["properties"] |= {
        "base": {
            "type": "string",
            "minLength": 1,
            "description": "What this file inherits from: a file beside it, or the name of a shipped spec.",
        },
        "patch": {
            "type": "array",
            "description": "How it differs from its base, in this order.",
            "items": {
                "type": "object",
                "properties": {name: {"description": text, **takes} for name, (text, takes) in _CHANGES.items()},
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
        },
    }
    inheriting = {"propertyNames": {"enum": [*beside, "base", "patch"]}}
    standing_alone = {"required": [key for key in schema.pop("required", []) if key != "spec"]}
    schema["required"] = ["spec"]
    schema["dependentRequired"] = {"patch": ["base"]}
    schema |= {"if": {"required": ["base"]}, "then": inheriting, "else": standing_alone}
