"""The one path grammar: keys, names, indices or `*`, joined by dots, as in `model.heads.*.addressing.shift.radius`.

In a list, an item is addressed by its index or by its name: its `name`, or else its `kind` (without the distribution
in front of it), where a bare string is short for `{kind: that}`. `*` stands for every item of a list or every value of
a mapping. A *location* is the concrete counterpart of a path: keys of mappings and indices of lists.

Edits return a new tree that shares with the old one everything they do not touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ntm_toolkit.spec.errors import SpecError, describe
from ntm_toolkit.spec.nodes import MAX_DEPTH, MAX_NODES, Location, Node, count_nodes
from ntm_toolkit.spec.suggestions import did_you_mean

Path = str | Sequence[str]

_SEGMENT = re.compile(r"[^\s.\[\]=]+")
_INDEX = re.compile(r"[0-9]{1,9}")
_ALL = "*"
_NAMES_SHOWN = 20


def parse_path(text: str) -> tuple[str, ...]:
    """Return the segments of a path.

    Raises:
        SpecError: a segment is empty, or holds a space, a bracket or `=`; or there are more than 64.
    """
    if not text.strip():
        raise SpecError("the path is empty; write keys, names, indices or * joined by dots")
    if "[" in text or "]" in text:
        better = re.sub(r"\.+", ".", re.sub(r"[\[\]'\"]+", ".", text)).strip(".")
        raise SpecError(f"paths have no brackets: write {better}, not {text}")
    segments = tuple(text.split("."))
    if len(segments) > MAX_DEPTH:
        raise SpecError(f"a path has at most {MAX_DEPTH} parts, this one has {len(segments)}")
    if "" in segments:
        raise SpecError(f"the path {text!r} has an empty part; write keys, names, indices or * joined by single dots")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise SpecError(f"{segment!r} cannot be part of a path: it takes no spaces and no '='")
    return segments


def _segments(path: Path) -> tuple[str, ...]:
    return parse_path(path if isinstance(path, str) else format_path(path))


def format_path(segments: Iterable[str | int]) -> str:
    """Return segments, or a location, as they are written: joined by dots."""
    return ".".join(map(str, segments))


def item_name(node: Node) -> str | None:
    """Return the name by which an item of a list is addressed, or None where it has only its index."""
    name: object = node.value
    if isinstance(node.value, dict):
        given, kind = node.value.get("name"), node.value.get("kind")
        name = given.value if given and given.value else _bare(kind.value) if kind else None
    elif isinstance(name, str):
        name = _bare(name)
    if not isinstance(name, str) or not _SEGMENT.fullmatch(name) or name == _ALL or name.isdecimal():
        return None
    return name


def _bare(kind: object) -> object:
    return kind.rsplit("/", 1)[-1] if isinstance(kind, str) else kind


def select(node: Node, path: Path) -> list[Location]:
    """Return the locations that a path stands for in a document, in its order: at least one.

    Behind a `*`, whatever does not have the rest of the path is passed over, unless nothing has it.

    Raises:
        SpecError: the path selects nothing, or a name that several items share.
    """
    segments = _segments(path)
    found, miss = _descend(node, segments, segments)
    if miss and not found:
        raise miss.error()
    return found


def display_path(node: Node, location: Location) -> str:
    """Return the path of a location for people: by name where an item of a list has one to itself, else by index.

    What a location has beyond the document (a field that is missing) stands as it is.
    """
    shown: list[str | int] = []
    here: Node | None = node
    for segment in location:
        child = here.child(segment) if here else None
        name = item_name(child) if child and isinstance(segment, int) else None
        unique = name is not None and here is not None and len(_named(here, name)) == 1
        shown.append(name if name is not None and unique else segment)
        here = child
    return format_path(shown)


def set_value(node: Node, path: Path, value: Node) -> Node:
    """Return the document with `value` wherever `path` leads.

    Keys that mappings lack on the way are made; a bare string on the way becomes `{kind: that}`, null a mapping.

    Raises:
        SpecError: a name, index or `*` selects nothing, or a number or truth value is in the way.
    """
    segments = _segments(path)
    edited, miss = _set(node, segments, segments, value)
    if edited is None:
        assert miss is not None
        raise miss.error()
    return _bounded(edited)


def remove(node: Node, path: Path) -> Node:
    """Return the document without all that `path` selects.

    Raises:
        SpecError: it selects nothing.
    """
    return _rebuilt(node, select(node, path), _without)


def insert(node: Node, path: Path, value: Node, where: Literal["before", "after"] = "before") -> Node:
    """Return the document with `value` as a new item of a list, before or after each item that `path` selects.

    Raises:
        SpecError: it selects nothing, or something that is not an item of a list.
    """
    locations = select(node, path)
    for location in locations:
        if not isinstance(location[-1], int):
            raise SpecError(f"{display_path(node, location)} is not an item of a list; use 'set' to give it a value")

    def with_items(parent: Node, segments: Sequence[str | int]) -> Node:
        assert isinstance(parent.value, list)
        beside, items = set(segments), list[Node]()
        for index, item in enumerate(parent.value):
            group = [value, item] if where == "before" else [item, value]
            items.extend(group if index in beside else [item])
        return Node(items, parent.origin)

    return _bounded(_rebuilt(node, locations, with_items))


@dataclass(frozen=True)
class _Miss:
    """A path selects nothing below `node`; why is worked out only if that is to be told."""

    node: Node
    segment: str
    above: tuple[str, ...]

    def error(self) -> SpecError:
        value, segment, above = self.node.value, self.segment, format_path(self.above) or "the document"
        if not isinstance(value, dict | list):
            return SpecError(f"{above} is {describe(value)}, which has no '{segment}'")
        if not value:
            return SpecError(f"{above} is {describe(value)}, so that there is no '{segment}'")
        if isinstance(value, dict):
            names = list(value)
        else:
            names = [item_name(item) or str(index) for index, item in enumerate(value)]
            alike = ", ".join(str(index) for index, name in enumerate(names) if name == segment)
            if alike:
                return SpecError(
                    f"{above} has several items called '{segment}'; give each its own name, or write an index ({alike})"
                )
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        return SpecError(f"{above} has no '{segment}'; it has {shown}{did_you_mean(segment, names)}")


def _descend(node: Node, segments: tuple[str, ...], whole: tuple[str, ...]) -> tuple[list[Location], _Miss | None]:
    """Return what the rest of the path selects below `node`, and the first branch of it that selects nothing."""
    if not segments:
        return [()], None
    steps = _children(node, segments[0], whole[: len(whole) - len(segments)])
    if isinstance(steps, _Miss):
        return [], steps
    found: list[Location] = []
    first_miss: _Miss | None = None
    for step in steps:
        below, miss = _descend(node.at((step,)), segments[1:], whole)
        found.extend((step, *rest) for rest in below)
        first_miss = first_miss or miss
    return found, first_miss


def _children(node: Node, segment: str, above: tuple[str, ...]) -> Sequence[str | int] | _Miss:
    """Return the keys or indices that one segment selects, at least one, or that there is none."""
    if isinstance(node.value, dict):
        if segment == _ALL and node.value:
            return list(node.value)
        if segment in node.value and segment != _ALL:
            return [segment]
    elif isinstance(node.value, list):
        if segment == _ALL and node.value:
            return range(len(node.value))
        if _INDEX.fullmatch(segment) and int(segment) < len(node.value):
            return [int(segment)]
        matches = _named(node, segment)
        if len(matches) == 1:
            return matches
    return _Miss(node, segment, above)


def _named(node: Node, name: str) -> list[int]:
    items = node.value if isinstance(node.value, list) else []
    return [index for index, item in enumerate(items) if item_name(item) == name]


def _set(
    node: Node, segments: tuple[str, ...], whole: tuple[str, ...], value: Node
) -> tuple[Node | None, _Miss | None]:
    """Return `node` with the value at the rest of the path, or None, and the first branch that could not have it."""
    if not segments:
        return value, None
    if isinstance(node.value, str):
        node = Node({"kind": node}, node.origin, {"kind": node.origin})
    elif node.value is None:
        node = Node({}, node.origin)
    first, rest = segments[0], segments[1:]
    if isinstance(node.value, dict) and first not in node.value and _ALL not in segments:
        made, miss = _set(Node({}, value.origin), rest, whole, value)
        assert made is not None
        return Node({**node.value, first: made}, node.origin, {**node.key_origins, first: value.origin}), miss
    steps = _children(node, first, whole[: len(whole) - len(segments)])
    if isinstance(steps, _Miss):
        return None, steps
    edits: dict[str | int, Node] = {}
    first_miss: _Miss | None = None
    for step in steps:
        edited, miss = _set(node.at((step,)), rest, whole, value)
        first_miss = first_miss or miss
        if edited is not None:
            edits[step] = edited
    return (_with_children(node, edits) if edits else None), first_miss


def _rebuilt(node: Node, locations: Sequence[Location], edit: Callable[[Node, Sequence[str | int]], Node]) -> Node:
    """Return the tree in which `edit` has remade each parent of the locations, given what it is to act on there."""
    if len(locations[0]) == 1:
        return edit(node, [location[0] for location in locations])
    below: dict[str | int, list[Location]] = {}
    for location in locations:
        below.setdefault(location[0], []).append(location[1:])
    return _with_children(node, {step: _rebuilt(node.at((step,)), rest, edit) for step, rest in below.items()})


def _with_children(node: Node, edits: Mapping[str | int, Node]) -> Node:
    if isinstance(node.value, dict):
        changed = {key: edits.get(key, child) for key, child in node.value.items()}
        return Node(changed, node.origin, node.key_origins)
    assert isinstance(node.value, list)
    return Node([edits.get(index, child) for index, child in enumerate(node.value)], node.origin)


def _without(node: Node, segments: Sequence[str | int]) -> Node:
    gone = set(segments)
    if isinstance(node.value, dict):
        left = {key: child for key, child in node.value.items() if key not in gone}
        return Node(left, node.origin, {key: at for key, at in node.key_origins.items() if key not in gone})
    assert isinstance(node.value, list)
    return Node([child for index, child in enumerate(node.value) if index not in gone], node.origin)


def _bounded(node: Node) -> Node:
    # Nodes are shared, so a few edits through `*` could make a small document stand for an endless one.
    if count_nodes(node) > MAX_NODES:
        raise SpecError(f"after this change the document would have more than {MAX_NODES} values")
    return node
