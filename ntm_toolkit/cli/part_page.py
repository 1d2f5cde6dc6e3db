"""All about one part, from its spec class alone: its fields, and what it declares at sizes that stand for any."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ntm_toolkit.plugins import Registration, Registry
from ntm_toolkit.plugins.failures import PluginError, plugin_code
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import HeadSpec, StageSpec, TrackerSpec
from ntm_toolkit.spec.files import DataFile
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.schedules import Schedule

SIZES = Dims(inputs=9, outputs=8, slots=128, width=20, hidden=100, reads={"read": 20}, groups={"read": 1, "write": 1})
"""The copy machine's, at which declarations are shown."""

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", NoneType: "nothing"}
_FULL_PRECISION = 10**6


def page(registration: Registration, registry: Registry) -> dict[str, Any]:
    """Return what is known of a part, as plain data."""
    part, provider = registration.part, registration.provider
    return {
        "family": registration.family,
        "kind": registration.kind,
        "qualified_kind": registration.qualified_kind,
        "spellings": list(registry.spellings(registration)),
        "description": inspect.cleandoc(part.__doc__ or ""),
        "provider": {"name": provider.name, **provider.record(), "file": str(provider.file or "") or None},
        "fields": [field_page(name, info) for name, info in part.model_fields.items() if name != "kind"],
        "declares": _declarations(part),
    }


def summary(part: type[PartSpec]) -> str:
    """Return the first sentence of a part's description."""
    # Not inspect.getdoc: a part without a docstring would be described by its family's.
    first = " ".join((part.__doc__ or "").strip().split("\n\n")[0].split())
    # A full stop follows a character: `k . M(i)` is a product.
    return re.split(r"(?<=\S[.!?])\s+(?=[A-Z])", first)[0]


def field_page(name: str, info: FieldInfo) -> dict[str, Any]:
    """Return what a field is called, what it takes, its default and its description, as plain data."""
    required = info.is_required()
    return {
        "name": name,
        "takes": takes(info.annotation, info.metadata),
        "required": required,
        "default": None if required else _plain(info.get_default(call_default_factory=True)),
        "description": info.description or "",
    }


def takes(annotation: Any, metadata: Any = ()) -> str:
    """Return in words what a field takes: `whole number >= 1`, `softmax | scalar`, `list of stages`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return takes(arguments[0], arguments[1:])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(takes(argument, metadata) for argument in arguments)
    if origin in (list, tuple):
        return f"list of {takes(arguments[0])}" if arguments else "list"
    if origin is dict:
        return f"mapping of {takes(arguments[0])} to {takes(arguments[1])}"
    if not isinstance(annotation, type):
        return str(annotation)
    if issubclass(annotation, Schedule):
        return "number or schedule"
    if issubclass(annotation, PartSpec):
        return annotation.family or annotation.__name__
    if issubclass(annotation, BaseModel):
        short = "path or " if issubclass(annotation, DataFile) else ""
        return f"{short}mapping with {', '.join(annotation.model_fields)}"
    return " ".join([_WORDS.get(annotation, annotation.__name__), *_bounds(metadata)])


def _bounds(metadata: Any) -> Iterator[str]:
    for item in metadata:
        for bound, sign in _BOUNDS.items():
            limit = getattr(item, bound, None)
            # Huge limits catch slips of the keyboard and tell a reader nothing.
            if limit is not None and (not isinstance(limit, int) or limit < _FULL_PRECISION):
                yield f"{sign} {limit}"
        # Field(ge=1) inside of another annotation keeps its bounds one level below.
        yield from _bounds(getattr(item, "metadata", ()))


def as_yaml(value: Any) -> str:
    """Return plain data as it would be written in a spec, in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).removesuffix("\n...\n").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule) and set(value.knots) == {0}:
        return value.knots[0]
    if isinstance(value, PartSpec):
        changed = {name: _plain(item) for name, item in _changed(value).items()}
        return {"kind": value.kind_of(), **changed} if changed else value.kind_of()
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in _changed(value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | dict | NoneType) else str(value)


def _changed(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a model that differ from their defaults."""
    return {
        name: getattr(model, name)
        for name, info in type(model).model_fields.items()
        if name not in ("kind", "name")
        and (info.is_required() or getattr(model, name) != info.get_default(call_default_factory=True))
    }


def _declarations(part: type[PartSpec]) -> dict[str, Any]:
    """Return what stages, heads and trackers declare at `SIZES`: interface, neutral values, state, noise, needs."""
    if not issubclass(part, StageSpec | HeadSpec | TrackerSpec):
        return {}
    try:
        with plugin_code():
            examples = part.examples()
            if not examples:
                return {"note": "what it declares depends on fields that it requires"}
            return {name: value for name, value in _declared(examples[0]) if value}
    except PluginError as error:
        return {"note": f"it cannot be asked what it declares: {error}"}


def _declared(part: StageSpec | HeadSpec | TrackerSpec) -> Iterator[tuple[str, Any]]:
    interface = part.interface(SIZES, "read") if isinstance(part, TrackerSpec) else part.interface(SIZES)
    yield "interface", {name: asdict(field) for name, field in interface.items()}
    if isinstance(part, StageSpec):
        neutral = part.neutral(SIZES)
        yield "neutral", None if neutral is None else _listed(neutral)
        yield "noise", {name: asdict(noise) for name, noise in part.noise(SIZES).items()}
    if not isinstance(part, HeadSpec):
        yield "state", {name: asdict(tensor) for name, tensor in part.state(SIZES).items()}
    needs = part.needs()
    yield "needs", {name: list(names) for name, names in asdict(needs).items() if names}


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | float) else list(value) for name, value in values.items()}
