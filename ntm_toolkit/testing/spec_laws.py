"""The laws of every spec class: it survives a file, and an editor can complete it."""

from __future__ import annotations

import pickle
from typing import Protocol

import yaml

from ntm_toolkit.plugins.admission import family_of
from ntm_toolkit.plugins.provenance import parts_of
from ntm_toolkit.spec.document import parse_document
from ntm_toolkit.spec.parts import PartSpec, looking_up
from ntm_toolkit.testing.laws import BrokenLaw, rule


class HasSpec(Protocol):
    """Whatever is tested has a spec."""

    @property
    def label(self) -> str:
        """Return what messages call it."""

    @property
    def spec(self) -> PartSpec:
        """Return its spec."""


@rule("yaml", first=True)
def yaml_round_trip(subject: HasSpec) -> None:
    """Written to YAML and read again, the spec is the same."""
    spec = subject.spec
    with looking_up(_OwnParts(spec)):
        text = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False)
        again = type(spec).model_validate(parse_document(text, "round trip").plain())
    if again != spec:
        raise BrokenLaw(f"read again it is {again!r}", f"\n{text}")
    if pickle.loads(pickle.dumps(spec)) != spec:
        raise BrokenLaw("after pickling it is another one")


@rule("schema")
def has_a_schema(subject: HasSpec) -> None:
    """Its fields have a JSON Schema, from which editors complete, and it has a docstring to show."""
    spec = type(subject.spec)
    spec.model_json_schema()
    if not (spec.__doc__ or "").strip():
        raise BrokenLaw(
            f"{spec.__name__} has no docstring; give its equation and its source, which `ntm plugins` shows"
        )


class _OwnParts:
    """Looks kinds up among the parts that a spec is made of."""

    def __init__(self, spec: PartSpec) -> None:
        self._parts = parts_of(spec)

    def part(self, family: type[PartSpec], kind: str) -> type[PartSpec]:
        for part in self._parts:
            if part.kind_of() == kind and issubclass(part, family):
                return part
        raise LookupError(f"no {family.family} is called '{kind}'")

    def qualified_kind(self, part: type[PartSpec]) -> str:
        family_of(part)
        return part.kind_of()
