"""A document as a tree of values that remember where they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ntm_toolkit.spec.errors import Problem, SpecError

MAX_NODES = 20_000
MAX_DEPTH = 64

Scalar: TypeAlias = str | int | float | bool | None
Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written.

    Args:
        file: the file, or the whole option (`-o model.memory.slots=64`) where it came from the command line.
        line: counted from 1; none for what is in no file.
        column: counted from 1.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None

    def problem(self, message: str, path: str = "") -> Problem:
        """Return the problem that `message` tells of what was written here."""
        return Problem(message, path, self.file, self.line, self.column)

    def error(self, message: str, path: str = "") -> SpecError:
        """Return the error that `message` tells of what was written here."""
        return SpecError(self.problem(message, path))


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document, with its origin and those of everything in it.

    Nodes are shared freely between documents: never change `value` in place, make a new node.

    Args:
        value: a mapping or list of nodes, or a scalar.
        origin: where the value begins.
        key_origins: for a mapping, where each key was written.
    """

    value: dict[str, Node] | list[Node] | Scalar
    origin: Origin = Origin()
    key_origins: Mapping[str, Origin] = field(default_factory=dict)

    def plain(self) -> Any:
        """Return the value as ordinary dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, segment: str | int) -> Node | None:
        """Return the value under a key or an index, or None where there is none."""
        if isinstance(self.value, dict) and isinstance(segment, str):
            return self.value.get(segment)
        if isinstance(self.value, list) and isinstance(segment, int) and 0 <= segment < len(self.value):
            return self.value[segment]
        return None

    def at(self, location: Location) -> Node:
        """Return the node at a location.

        Raises:
            KeyError: there is nothing at `location`.
        """
        node = self
        for segment in location:
            child = node.child(segment)
            if child is None:
                raise KeyError(location)
            node = child
        return node

    def nearest_node(self, location: Location) -> Node:
        """Return the node at `location`, or else its deepest ancestor that exists."""
        node = self
        for segment in location:
            child = node.child(segment)
            if child is None:
                break
            node = child
        return node

    def nearest(self, location: Location, *, key: bool = False) -> Origin:
        """Return where the value at `location`, or else its deepest ancestor that exists, was written.

        Args:
            location: need not exist.
            key: prefer the position of the key, for what is wrong with the key itself.
        """
        if key and location:
            try:
                return self.at(location[:-1]).key_origins[str(location[-1])]
            except KeyError:
                pass
        return self.nearest_node(location).origin


def as_node(data: object, origin: Origin = Origin()) -> Node:
    """Return plain data (dicts with string keys, lists or tuples, scalars) as nodes that all have one origin.

    Raises:
        TypeError: `data` holds anything else.
    """
    if isinstance(data, dict):
        for key in data:
            if not isinstance(key, str):
                raise TypeError(f"a document's keys are strings, not {key!r}")
        return Node({key: as_node(child, origin) for key, child in data.items()}, origin, dict.fromkeys(data, origin))
    if isinstance(data, list | tuple):
        return Node([as_node(child, origin) for child in data], origin)
    if data is None or isinstance(data, str | int | float | bool):
        return Node(data, origin)
    raise TypeError(f"a document cannot hold a {type(data).__name__}")


def count_nodes(node: Node, limit: int = MAX_NODES) -> int:
    """Return how many nodes a tree has, counting shared ones as often as they appear, and no further than limit + 1."""
    count, waiting = 0, [node]
    while waiting and count <= limit:
        value = waiting.pop().value
        count += 1
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return count
