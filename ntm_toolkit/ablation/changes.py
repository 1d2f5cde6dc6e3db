"""One change to a full experiment, by path: remove, swap, set, neutralize or freeze whatever stands there.

No part is known by name: what can be swapped for what, and what a kind's fields are, is read off the registered spec
classes along the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import SpecError, with_article
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.families import StageSpec
from ntm_toolkit.spec.nodes import Location, Node, Origin, as_node
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.paths import display_path, parse_path, remove, select

Kind = Literal["remove", "swap", "set", "neutral", "freeze"]
KINDS: tuple[Kind, ...] = ("remove", "swap", "set", "neutral", "freeze")
"""In the order in which changes of different entries are applied, so that none is undone by the next."""

_NOT_VARIED = {
    ("spec",): "it says how the file is read",
    ("requires",): "it is the same for all variants",
    ("evaluation",): "all variants are evaluated alike; say under 'measure' at which axes",
    ("training", "seed"): "say under 'seeds' which there are",
    ("training", "sequences"): "all variants are trained on as many; say how many under 'budget'",
    ("training", "stop"): "what counts as solved is the same for all variants; say it under 'solved', or in the base",
    ("training", "when_solved"): "all variants go on to the end of the budget",
    ("training", "freeze"): "write a 'freeze' of its own",
}


@dataclass(frozen=True)
class Change:
    """What is done to all that a path selects.

    Attributes:
        kind: remove, swap, set, neutral or freeze.
        path: a path, which may hold `*`.
        value: of swap the other part, a kind or a mapping with one; of set the value.
    """

    kind: Kind
    path: str
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in `ablation.json`."""
        return {"kind": self.kind, "path": self.path, **({"value": self.value} if self.kind in ("swap", "set") else {})}


def applied(change: Change, document: Node, registry: Registry) -> Node:
    """Return the full document with a change made.

    Raises:
        SpecError: the path selects nothing, or something that cannot be changed so; without a place.
    """
    segments = parse_path(change.path)
    for own, why in _NOT_VARIED.items():
        if segments[: len(own)] == own:
            raise SpecError(f"{'.'.join(own)} cannot be varied: {why}")
    locations = select(document, change.path)
    match change.kind:
        case "remove":
            return remove(document, change.path)
        case "set":
            # Not paths.set_value: behind `*` it makes keys that a part lacks, and may well not know.
            for location in locations:
                document = _placed(document, location, as_node(change.value))
        case "swap":
            for location in locations:
                document = _placed(document, location, _swapped(document, location, change.value, registry))
        case "neutral":
            for location in locations:
                part = part_at(document, location, registry)
                if part is None or not issubclass(part, StageSpec):
                    what = "a stage" if part is None else f"a stage, and this is {with_article(part.family)}"
                    raise SpecError(
                        f"{display_path(document, location)}: what can be neutral is {what}; use 'freeze', 'remove' "
                        "or 'set' here"
                    )
                document = _placed(document, (*location, "neutralized"), Node(True))
        case "freeze":
            frozen = document.at(("training", "freeze")).plain()
            for location in locations:
                if location[0] != "model":
                    raise SpecError("what can be frozen are parts of the model, so that the path begins with model")
                frozen = [*frozen, display_path(document, location)]
            document = _placed(document, ("training", "freeze"), as_node(list(dict.fromkeys(frozen))))
    return document


def part_at(document: Node, location: Location, registry: Registry) -> type[PartSpec] | None:
    """Return the class of the part at a location of a full document, or None where it is no part."""
    found = _class_at(document, location, registry)
    return found[1] if found is not None and issubclass(found[1], PartSpec) else None


def _class_at(document: Node, location: Location, registry: Registry) -> tuple[type[BaseModel], type[BaseModel]] | None:
    """Return which class is declared for a location, such as a family, and which stands there; None for no model."""
    declared: type[BaseModel] = ExperimentSpec
    actual: type[BaseModel] = ExperimentSpec
    for depth, segment in enumerate(location, 1):
        if isinstance(segment, str):
            field = actual.model_fields.get(segment)
            below = None if field is None else _model_in(field.annotation)
            if below is None:
                return None
            declared = below
        node = document.nearest_node(location[:depth])
        if isinstance(node.value, list):
            continue
        if not isinstance(node.value, dict):
            return None
        actual = _actual(declared, node, registry)
    return None if isinstance(document.at(location).value, list) else (declared, actual)


def _actual(declared: type[BaseModel], node: Node, registry: Registry) -> type[BaseModel]:
    if not issubclass(declared, PartSpec) or not declared.is_family():
        return declared
    kind = node.child("kind")
    try:
        return registry.part(declared, str(kind.value if kind else declared.default_kind))
    except LookupError:
        return declared


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, on its own, in a list or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, UnionType, list):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None


def _swapped(document: Node, location: Location, value: Any, registry: Registry) -> Node:
    """Return another part for a place, with the fields of the old one that both kinds declare alike.

    A controller of another kind is as large as the one that it replaces, a head keeps its addressing.
    """
    found = _class_at(document, location, registry)
    family, old = found or (BaseModel, BaseModel)
    if not issubclass(family, PartSpec) or not issubclass(old, PartSpec):
        raise SpecError(f"{display_path(document, location)} is no part that could be swapped; use 'set' for values")
    given = {"kind": value} if isinstance(value, str) else dict(value)
    kind = given.get("kind", family.default_kind)
    if not isinstance(kind, str):
        raise SpecError(f"the other {family.family} needs a 'kind:'")
    try:
        new = registry.part(family, kind)
    except LookupError as error:
        raise SpecError(str(error.args[0])) from None
    node = document.at(location)
    assert isinstance(node.value, dict)
    kept = {
        name: child
        for name, child in node.value.items()
        if name not in given
        and _declared_alike(name, old, new)
        and not (name == "name" and child.value == old.kind_of())
    }
    return Node({**as_node({"kind": kind, **given}).value, **kept}, Origin())  # type: ignore[dict-item]


def _declared_alike(name: str, old: type[BaseModel], new: type[BaseModel]) -> bool:
    if name == "kind" or name not in old.model_fields or name not in new.model_fields:
        return False
    was, is_now = old.model_fields[name], new.model_fields[name]
    return was.annotation == is_now.annotation and was.description == is_now.description


def _placed(document: Node, location: Location, value: Node) -> Node:
    """Return the document with another value at a location, whose parent is there."""
    if not location:
        return value
    first, rest = location[0], location[1:]
    if isinstance(document.value, list):
        assert isinstance(first, int)
        items = list(document.value)
        items[first] = _placed(items[first], rest, value)
        return Node(items, document.origin)
    assert isinstance(document.value, dict)
    below = document.value.get(str(first), Node(None))
    return Node({**document.value, str(first): _placed(below, rest, value)}, document.origin, document.key_origins)
