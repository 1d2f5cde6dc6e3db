"""How a variant's full document differs from the base's, a line for each difference, by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Place = tuple[str, ...]

_LONGEST = 120


@dataclass(frozen=True)
class Difference:
    """What is gone (`-`), new (`+`) or another at one place.

    Attributes:
        sign: which of them; nothing for another value.
        place: the segments of its path, by name where it is an item of a list.
        text: the new value, or the old and the new.
    """

    sign: Literal["- ", "+ ", ""]
    place: Place
    text: str = ""


def difference_lines(base: Mapping[str, Any], variant: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `- path`, `+ path: value` or `path: value -> value` for all that is gone, new or another.

    What is alike for all that a path with `*` selects is one line.

    Args:
        base: an experiment's full document.
        variant: another's.
    """
    alike: dict[tuple[str, str], list[Place]] = {}
    for difference in differences(base, variant):
        alike.setdefault((difference.sign, difference.text), []).append(difference.place)
    lines: list[str] = []
    for (sign, text), found in alike.items():
        if len(found) > 1:
            found = starred(found, places(variant if sign == "+ " else base))
        lines += [f"{sign}{'.'.join(place)}{': ' if text else ''}{text}" for place in found]
    return tuple(lines)


def differences(base: Any, variant: Any, place: Place = ()) -> Iterator[Difference]:
    """Yield what differs between two values that stand at one place."""
    if base == variant:
        return
    if isinstance(base, dict) and isinstance(variant, dict) and base.get("kind") == variant.get("kind"):
        yield from _by_key(base, variant, place)
    elif isinstance(base, list) and isinstance(variant, list) and _are_named(base) and _are_named(variant):
        before, after = ({item["name"]: item for item in items} for items in (base, variant))
        yield from _by_key(before, after, place)
        if [name for name in before if name in after] != [name for name in after if name in before]:
            yield Difference("", place, f"{', '.join(before)} -> {', '.join(after)}")
    elif isinstance(base, list) and isinstance(variant, list) and [item for item in base if item in variant] == base:
        yield from (Difference("+ ", place, shown(item)) for item in variant[len(base) :])
    else:
        yield Difference("", place, f"{shown(base)} -> {shown(variant)}")


def starred(chosen: Sequence[Place], everything: Iterable[Place]) -> list[Place]:
    """Return places, one with `*` standing for several that differ in one segment, but not the last.

    Args:
        chosen: the places.
        everything: all places that there are: `*` is used only where all that it selects are chosen.
    """
    all_places = set(everything)
    children: dict[Place, list[str]] = {}
    for place in all_places:
        children.setdefault(place[:-1], []).append(place[-1])
    left = list(dict.fromkeys(chosen))
    for depth in range(max(map(len, left), default=0) - 1):
        for place in list(left):
            if place not in left or depth >= len(place) - 1 or "*" in place[: depth + 1]:
                continue
            selected = [
                own
                for name in children.get(place[:depth], ())
                if (own := (*place[:depth], name, *place[depth + 1 :])) in all_places
            ]
            if len(selected) > 1 and all(own in left for own in selected):
                left[left.index(place)] = (*place[:depth], "*", *place[depth + 1 :])
                left = [own for own in left if own not in selected]
    return left


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the places of all that a document holds, by name where it is an item of a list that has one."""
    if place:
        yield place
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(_name_of(item, index)), item) for index, item in enumerate(value)]
    else:
        return
    for name, item in items:
        yield from places(item, (*place, name))


def shown(value: Any) -> str:
    """Return a value as it is shown in a line: a part is its bare kind, with its fields where it has any."""
    text = _shown(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _by_key(base: Mapping[str, Any], variant: Mapping[str, Any], place: Place) -> Iterator[Difference]:
    for key in dict.fromkeys([*base, *variant]):
        below = (*place, str(key))
        if key not in variant:
            yield Difference("- ", below)
        elif key not in base:
            yield Difference("+ ", below, shown(variant[key]))
        else:
            yield from differences(base[key], variant[key], below)


def _are_named(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)


def _name_of(item: Any, index: int) -> Any:
    return item.get("name", index) if isinstance(item, dict) else index


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        fields = {key: item for key, item in value.items() if key != "kind" and not _is_own_name(value, key)}
        kind = value.get("kind")
        if not fields:
            return _bare(kind) if kind is not None else "{}"
        inside = ", ".join(f"{key}: {_shown(item)}" for key, item in fields.items())
        return f"{{kind: {_bare(kind)}, {inside}}}" if kind is not None else f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_own_name(part: Mapping[str, Any], key: str) -> bool:
    return key == "name" and "kind" in part and part["name"] == _bare(part["kind"])


def _bare(kind: Any) -> str:
    return str(kind).rpartition("/")[2]
