"""What a plugin may register: a list of part classes, each with a kind of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args, get_origin

from ntm_toolkit.plugins.failures import PluginError, plugin_code
from ntm_toolkit.plugins.provider import Provider, Registration
from ntm_toolkit.spec.families import FAMILIES
from ntm_toolkit.spec.parts import NAME_PATTERN, PartSpec

_FAMILIES = {family.family: family for family in FAMILIES}


def admitted(returned: object, provider: Provider, registered: Iterable[Registration]) -> list[Registration]:
    """Return the registrations of what a plugin's `ntm_register_parts` returned.

    Args:
        returned: what it returned.
        provider: the plugin.
        registered: what is registered already, by this plugin or others.

    Raises:
        PluginError: it is no list, or an item of it cannot be registered.
    """
    if not isinstance(returned, list | tuple):
        raise PluginError(f"ntm_register_parts returned {_described(returned)}; it returns a list of spec classes")
    known = list(registered)
    added: list[Registration] = []
    for index, item in enumerate(returned):
        with plugin_code():
            family = _family_of(item, f"item {index} of what ntm_register_parts returned")
            registration = Registration(family.family, _kind_of(item), item, provider)
        _require_new(registration, family, [*known, *added])
        added.append(registration)
    return added


def family_of(part: type[PartSpec]) -> type[PartSpec]:
    """Return the family of a part: the class above it that stands for all of its family.

    Raises:
        LookupError: there is none.
    """
    for base in part.__mro__:
        if issubclass(base, PartSpec) and base.is_family() and base.__dict__.get("family"):
            return base
    raise LookupError(f"{part.__name__} belongs to no family; derive it from StageSpec, HeadSpec or another of them")


def _family_of(item: object, where: str) -> type[PartSpec]:
    if not isinstance(item, type):
        hint = f"; return the class, {type(item).__name__}" if isinstance(item, PartSpec) else ""
        raise PluginError(f"{where} is {_described(item)}, not the spec class of a part{hint}")
    if not issubclass(item, PartSpec):
        raise PluginError(f"{where}, {item.__name__}, is not the spec class of a part: derive it from StageSpec or so")
    try:
        family = family_of(item)
    except LookupError as error:
        raise PluginError(str(error)) from None
    if item.is_family():
        raise PluginError(f"{item.__name__} has no kind; write kind: Literal['its-kind'] = 'its-kind' in it")
    builtin = _FAMILIES.get(family.family, family)
    if builtin is not family:
        raise PluginError(f"{family.__name__} calls itself the family '{family.family}', which is {builtin.__name__}")
    return family


def _kind_of(part: type[PartSpec]) -> str:
    part.model_rebuild()  # raises, with the name that cannot be resolved, where an annotation is not complete
    field = part.model_fields["kind"]
    kind = field.default
    if get_origin(field.annotation) is not Literal or get_args(field.annotation) != (kind,):
        raise PluginError(f"{part.__name__}'s kind is not declared as kind: Literal['its-kind'] = 'its-kind'")
    if not isinstance(kind, str) or not re.fullmatch(NAME_PATTERN, kind):
        raise PluginError(
            f"{part.__name__}'s kind {kind!r} is no word: letters, digits, '-' and '_', starting with a letter"
        )
    return kind


def _require_new(registration: Registration, family: type[PartSpec], registered: Sequence[Registration]) -> None:
    for other in registered:
        if other.part is registration.part:
            who = "itself" if other.provider is registration.provider else other.provider.label
            raise PluginError(f"{registration.part.__name__} is registered by {who} already; register it once")
        if other.family != registration.family:
            continue
        if family_of(other.part) is not family:
            raise PluginError(f"the family '{registration.family}' is another class in {other.provider.label}")
        if other.kind == registration.kind and other.provider.distribution == registration.provider.distribution:
            raise PluginError(
                f"the {registration.family} '{registration.kind}' is claimed twice, by {other.part.__name__} and by "
                f"{registration.part.__name__}"
            )


def _described(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
