"""A YAML document as a tree that remembers where every value was written, read so that no file can do harm.

Scalars follow YAML 1.2's core schema, so that `off` is a string, `010` is ten and `1e-3` is a number. Nothing is ever
constructed but mappings with string keys (`0:` is short for `"0":`), lists, strings, numbers, truth values and null.
Nesting, size and aliases are bounded, and whatever is wrong becomes a `SpecError` with file, line and column.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ntm_toolkit.spec.errors import Problem, SpecError, describe
from ntm_toolkit.spec.nodes import MAX_DEPTH, MAX_NODES, Location, Node, Origin, Scalar, as_node, count_nodes
from ntm_toolkit.spec.suggestions import did_you_mean

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Location",
    "Node",
    "Origin",
    "Scalar",
    "as_node",
    "count_nodes",
    "parse_document",
    "parse_value",
    "read_document",
]

MAX_BYTES = 1 << 20
_MAX_DIGITS = 100
_MAX_PROBLEMS = 100

_LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_NULL = re.compile(r"(?:null|Null|NULL|~|)")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))")


def read_document(path: str | Path) -> Node:
    """Return the document in a YAML file.

    Raises:
        SpecError: there is no such file, it cannot be read, or `parse_document` refuses it.
    """
    origin = Origin(str(path))
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise origin.error("this is a folder; give the YAML file in it")
        if not stat.S_ISREG(mode):
            raise origin.error("this is not an ordinary file")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise origin.error(f"there is no such file{_neighbour(Path(path))}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise origin.error(f"this file cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise origin.error(f"this file is larger than {MAX_BYTES >> 20} MiB, which no spec is")
    if b"\0" in content:
        raise origin.error("this is a binary file, not YAML")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Origin(str(path), line).error("this is not UTF-8 text; save the file as UTF-8") from None
    return parse_document(text, str(path))


def _neighbour(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except (OSError, ValueError):
        return ""
    return did_you_mean(path.name, names)


def parse_document(text: str, file: str | None = None) -> Node:
    """Return the document that `text` is: one mapping.

    Args:
        text: YAML.
        file: the name under which problems are reported.

    Raises:
        SpecError: everything that is wrong with the text as YAML.
    """
    node = _parse(text, lambda line, column: Origin(file, line, column))
    if node is None or node.value is None:
        raise Origin(file).error("this file is empty")
    if not isinstance(node.value, dict):
        raise node.origin.error(
            f"a document is a mapping of keys to values, `spec: 1` the first; got {describe(node.plain())}"
        )
    return node


def parse_value(text: str, source: str) -> Node:
    """Return the value that one piece of YAML, given on a command line, stands for: nothing is null.

    Args:
        text: a scalar, or a list or mapping in flow style.
        source: what problems call the place, for example `-o model.memory.slots=64`.

    Raises:
        SpecError: everything that is wrong with the text as YAML.
    """
    return _parse(text, lambda line, column: Origin(source)) or Node(None, Origin(source))


def _parse(text: str, origin: Callable[[int, int], Origin]) -> Node | None:
    builder = _Builder(origin)
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_event():
            builder.take(loader.get_event())  # type: ignore[no-untyped-call]
    except _AbandonedError:
        pass
    except yaml.reader.ReaderError as error:
        before = _LINE_BREAK.split(text[: error.position])
        line, column = len(before), len(before[-1]) + 1
        message = f"{chr(error.character)!r} is not a character that YAML allows"
        builder.problems.append(origin(line, column).problem(message))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = builder.origin_of(mark) if mark else origin(1, 1)
        builder.problems.append(where.problem(_syntax_message(error)))
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets these out for escapes beyond Unicode and for endless version numbers.
        where = builder.origin_of(loader.get_mark()) if loader else origin(1, 1)
        builder.problems.append(where.problem("this is not valid YAML: there is no such character or number"))
    finally:
        if loader:
            loader.dispose()
    if builder.problems:
        raise SpecError(builder.problems)
    return builder.root


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    said = error.problem or error.context or "it cannot be understood"
    if "'\\t'" in said:
        return "this is not valid YAML: indent with spaces, not with tabs"
    message = f"this is not valid YAML: {said}"
    if error.context and error.problem:
        message += f" ({error.context}"
        if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
            message += f" that begins on line {error.context_mark.line + 1}"
        message += ")"
    return message


class _AbandonedError(Exception):
    """Nothing that follows in the text is worth reading."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: dict[str, Node] | list[Node]
    origin: Origin
    anchor: str | None
    key_origins: dict[str, Origin] = field(default_factory=dict)
    key: str | None = None
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class _Built:
    node: Node
    size: int
    depth: int


class _Builder:
    """Makes nodes from YAML's events, with a stack of its own so that no nesting can exhaust Python's."""

    def __init__(self, origin: Callable[[int, int], Origin]) -> None:
        self._origin = origin
        self._open: list[_Open] = []
        self._anchors: dict[str, _Built] = {}
        self._count = 0
        self._documents = 0
        self.root: Node | None = None
        self.problems: list[Problem] = []

    def origin_of(self, mark: Any) -> Origin:
        return self._origin(mark.line + 1, mark.column + 1)

    def _start(self, event: yaml.Event) -> Origin:
        return self.origin_of(event.start_mark) if event.start_mark else self._origin(1, 1)

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._abandon(event, "a second document begins here; a file holds one")
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            built = _Built(Node(done.value, done.origin, done.key_origins), done.size, done.depth)
            self._place(built, done.anchor)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        if self._awaits_key():
            self._abandon(event, "an alias cannot be a key")
        built = self._anchors.get(event.anchor or "")
        if built is None:
            self._abandon(event, f"no value above is anchored as '&{event.anchor}'")
        self._grow(built.size, built.depth, event)
        self._place(built, None)

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        origin = self._start(event)
        value = self._resolve(event, origin)
        if self._awaits_key():
            self._take_key(event, value, origin)
            return
        self._grow(1, 0, event)
        self._place(_Built(Node(value, origin), 1, 0), event.anchor)

    def _take_key(self, event: yaml.ScalarEvent, value: Scalar, origin: Origin) -> None:
        frame, key = self._open[-1], event.value
        if isinstance(value, int) and not isinstance(value, bool):
            key = str(value)
        elif not isinstance(value, str):
            self._report(
                origin, f'a key must be a string; put quotes around it: "{key}"' if key else "a key is missing here"
            )
        elif key == "<<" and not event.style:
            self._report(origin, "merge keys (<<) are not supported; write the fields out, or inherit with 'base:'")
        if key in frame.key_origins:
            first = frame.key_origins[key].line
            again = f"; it is on line {first} already" if first else ""
            self._report(origin, f"the key '{key}' is given twice{again}")
        frame.key = key
        frame.key_origins.setdefault(key, origin)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event)
        if self._awaits_key():
            self._abandon(event, "a key must be a string, not a list or a mapping")
        self._grow(1, 1, event)
        value: dict[str, Node] | list[Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._start(event), event.anchor))

    def _place(self, built: _Built, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = built
        if not self._open:
            self.root = built.node
            return
        frame = self._open[-1]
        frame.size += built.size
        frame.depth = max(frame.depth, built.depth + 1)
        if isinstance(frame.value, list):
            frame.value.append(built.node)
        elif frame.key is not None:
            frame.value[frame.key], frame.key = built.node, None

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _grow(self, size: int, depth: int, event: yaml.Event) -> None:
        self._count += size
        if self._count > MAX_NODES:
            self._abandon(event, f"this document has more than {MAX_NODES} values, counting aliases in full")
        if len(self._open) + depth > MAX_DEPTH:
            self._abandon(event, f"this is nested more than {MAX_DEPTH} deep")

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._report(self._start(event), f"tags are not allowed; leave out '{event.tag}'")

    def _report(self, origin: Origin, message: str) -> None:
        self.problems.append(origin.problem(message))
        if len(self.problems) == _MAX_PROBLEMS:
            raise _AbandonedError

    def _abandon(self, event: yaml.Event, message: str) -> NoReturn:
        self.problems.append(self._start(event).problem(message))
        raise _AbandonedError

    def _resolve(self, event: yaml.ScalarEvent, origin: Origin) -> Scalar:
        text: str = event.value
        if event.style:
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                self._report(origin, "this string holds half a character (a lone surrogate)")
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _NOT_FINITE.fullmatch(text):
            self._report(origin, f"numbers must be finite, got {text}")
            return None
        if _INT.fullmatch(text):
            if len(text) > _MAX_DIGITS:
                self._report(origin, f"this number has more than {_MAX_DIGITS} digits")
                return None
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                self._report(origin, f"this number is too large: {describe(text[:20])}")
            return number
        return text
