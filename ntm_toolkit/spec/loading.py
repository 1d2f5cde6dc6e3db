"""From a file to the whole experiment that it states: migrations, inheritance, overrides, and at last validation.

A file may inherit from another and say what differs, in this order and no other:

    spec: 1
    base: copy.yaml                # beside this file; a name without a suffix is a shipped spec
    patch:
      - set: {model.memory.slots: 64}
      - remove: model.heads.read.addressing.shift
      - insert: {after: model.heads.*.addressing.content, part: interpolate}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from ntm_toolkit.spec.document import parse_value, read_document
from ntm_toolkit.spec.errors import Problem, SpecError, describe
from ntm_toolkit.spec.explanations import explain
from ntm_toolkit.spec.migrations import migrate
from ntm_toolkit.spec.nodes import Node, Origin
from ntm_toolkit.spec.paths import insert, parse_path, remove, set_value
from ntm_toolkit.spec.suggestions import did_you_mean

Change: TypeAlias = Callable[[Node], Node]
FindShipped: TypeAlias = Callable[[str], Path | None]
Model = TypeVar("Model", bound=BaseModel)

MAX_BASES = 16
MAX_CHANGES = 256

_BESIDE_BASE = ("spec", "base", "patch", "requires")
_OPERATIONS = ("set", "remove", "insert")


def _no_shipped_specs(name: str) -> Path | None:
    return None


def load_document(
    path: str | Path, overrides: Sequence[str] = (), *, find_shipped: FindShipped = _no_shipped_specs
) -> Node:
    """Return the document that a file states, with what it inherits and the changes of a command line applied.

    Args:
        path: a YAML file.
        overrides: `path=value` each, the value in YAML, applied in order.
        find_shipped: the file of a shipped spec, by name.

    Raises:
        SpecError: all that is wrong with the files or the changes; whether the document is a valid experiment is
            another question, which `validate` answers.
    """
    return override(_resolved(Path(path), (), find_shipped), overrides)


def override(document: Node, overrides: Sequence[str]) -> Node:
    """Return the document with each `path=value` of a command line applied, in order.

    Raises:
        SpecError: what is wrong with any of them.
    """
    problems: list[Problem] = []
    for text in overrides:
        source = f"-o {text if len(text) <= 100 else text[:97] + '...'}"
        with _collecting(problems, Origin(source)):
            path, equals, value = text.partition("=")
            if not equals:
                raise SpecError("an override is written path=value, as in model.memory.slots=64")
            document = set_value(document, _changeable(path.strip()), parse_value(value, source))
    if problems:
        raise SpecError(problems)
    return document


def validate(document: Node, model: type[Model], context: Mapping[str, Any] | None = None) -> Model:
    """Return what a document states, as a model.

    Args:
        document: a whole document, or a part of one.
        model: the class to validate it with.
        context: what the validators of `model` are given.

    Raises:
        SpecError: every error at once, each in plain words where it was written.
    """
    try:
        return model.model_validate(document.plain(), context=context)
    except ValidationError as error:
        raise SpecError(explain(error, document)) from None


def _resolved(path: Path, heirs: tuple[Path, ...], find_shipped: FindShipped) -> Node:
    document = migrate(read_document(path))
    base, patch = document.child("base"), document.child("patch")
    if base is None:
        if patch is not None:
            raise document.nearest(("patch",), key=True).error(
                "a patch changes what 'base:' names, and there is no 'base:' here", "patch"
            )
        return document
    heirs = (*heirs, path.resolve())
    base_path = base_file(base, path, find_shipped)
    if base_path.resolve() in heirs:
        circle = " -> ".join(str(heir.name) for heir in (*heirs, base_path.resolve()))
        raise base.origin.error(f"files inherit from each other in a circle: {circle}", "base")
    if len(heirs) > MAX_BASES:
        raise base.origin.error(f"more than {MAX_BASES} files inherit from each other", "base")
    problems = _misplaced(document)
    changes = _changes(patch, problems) if patch is not None else []
    if problems:
        raise SpecError(problems)
    inherited = _resolved(base_path, heirs, find_shipped)
    for origin, change in changes:
        with _collecting(problems, origin):
            inherited = change(inherited)
    if problems:
        raise SpecError(problems)
    return _with_own_header(inherited, document)


def base_file(base: Node, path: Path, find_shipped: FindShipped) -> Path:
    """Return the file that is named as the base of another.

    Args:
        base: the name: a file beside the heir, or a shipped spec's name without a suffix.
        path: the heir.
        find_shipped: the file of a shipped spec, by name.

    Raises:
        SpecError: there is none.
    """
    name = base.value
    if not isinstance(name, str) or not name.strip():
        raise base.origin.error(f"expected the file to inherit from, got {describe(base.plain())}", "base")
    if name.endswith((".yaml", ".yml")) or name.startswith((".", "/")) or os.path.isabs(name):
        found = path.parent / name
        if not _is_file(found):
            beside = [entry.name for entry in path.parent.glob("*.y*ml") if entry.name != path.name]
            hint = did_you_mean(name, beside) if "/" not in name else ""
            raise base.origin.error(f"there is no file {found}{hint}", "base")
        return found
    try:
        shipped = find_shipped(name)
    except FileNotFoundError as error:
        raise base.origin.error(str(error), "base") from None
    if shipped is None:
        own = next((name + suffix for suffix in (".yaml", ".yml") if _is_file(path.parent / (name + suffix))), None)
        hint = f"; did you mean the file '{own}'?" if own else "; a file of your own is named with its suffix, .yaml"
        raise base.origin.error(f"no shipped spec is called '{name}'{hint}", "base")
    return shipped


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or a null character in it
        return False


def _misplaced(document: Node) -> list[Problem]:
    assert isinstance(document.value, dict)
    return [
        document.nearest((key,), key=True).problem(
            f"beside 'base:' stand only {', '.join(_BESIDE_BASE)}; put this under 'patch:' as - set: {{{key}: ...}}",
            key,
        )
        for key in document.value
        if key not in _BESIDE_BASE
    ]


def _with_own_header(inherited: Node, document: Node) -> Node:
    """Return what was inherited under the heir's own `spec`, requiring what both of them require."""
    assert isinstance(inherited.value, dict)
    assert isinstance(document.value, dict)
    values, keys = dict(inherited.value), dict(inherited.key_origins)
    values["spec"], keys["spec"] = document.value["spec"], document.nearest(("spec",), key=True)
    own, theirs = document.child("requires"), inherited.child("requires")
    if own is not None:
        if isinstance(own.value, list) and theirs is not None and isinstance(theirs.value, list):
            own = Node([*theirs.value, *own.value], own.origin)
        values["requires"], keys["requires"] = own, document.nearest(("requires",), key=True)
    return Node(values, document.origin, keys)


def _changes(patch: Node, problems: list[Problem]) -> list[tuple[Origin, Change]]:
    """Return the edits that a patch asks for, in order; what is not one is added to `problems`."""
    if not isinstance(patch.value, list):
        problems.append(patch.origin.problem(f"a patch is a list of changes, got {describe(patch.plain())}", "patch"))
        return []
    changes: list[tuple[Origin, Change]] = []
    for index, item in enumerate(patch.value):
        with _collecting(problems, item.origin, f"patch.{index}"):
            if not isinstance(item.value, dict) or len(item.value) != 1:
                raise SpecError(f"each change is exactly one of set:, remove: or insert:; got {describe(item.plain())}")
            [(operation, asked)] = item.value.items()
            if operation not in _OPERATIONS:
                raise SpecError(
                    f"no change is called '{operation}'{did_you_mean(operation, _OPERATIONS)} "
                    f"(changes: {', '.join(_OPERATIONS)})"
                )
            changes.extend({"set": _sets, "remove": _removals, "insert": _insertions}[operation](asked))
    if len(changes) > MAX_CHANGES:
        problems.append(patch.origin.problem(f"a patch has at most {MAX_CHANGES} changes, got {len(changes)}", "patch"))
    return changes


def _sets(asked: Node) -> Iterator[tuple[Origin, Change]]:
    if not isinstance(asked.value, dict) or not asked.value:
        raise SpecError(f"'set' takes a mapping of paths to values, got {describe(asked.plain())}")
    for path, value in asked.value.items():
        origin = asked.key_origins[path]
        with _located(origin):
            segments = _changeable(path)
        yield origin, partial(set_value, path=segments, value=value)


def _removals(asked: Node) -> Iterator[tuple[Origin, Change]]:
    paths = asked.value if isinstance(asked.value, list) and asked.value else [asked]
    for path in paths:
        if not isinstance(path.value, str):
            raise SpecError(f"'remove' takes a path or a list of paths, got {describe(asked.plain())}")
        with _located(path.origin):
            segments = _changeable(path.value)
        yield path.origin, partial(remove, path=segments)


def _insertions(asked: Node) -> Iterator[tuple[Origin, Change]]:
    beside = {"before", "after"} & set(asked.value) if isinstance(asked.value, dict) else set()
    part = asked.child("part")
    if not isinstance(asked.value, dict) or part is None or len(beside) != 1 or len(asked.value) != 2:
        raise SpecError(f"'insert' takes a mapping with part and one of before or after, got {describe(asked.plain())}")
    where: Literal["before", "after"] = "before" if "before" in beside else "after"
    path = asked.value[where]
    if not isinstance(path.value, str):
        raise path.origin.error(f"'{where}' takes the path of an item, got {describe(path.plain())}")
    with _located(path.origin):
        segments = _changeable(path.value)
    yield path.origin, partial(insert, path=segments, value=part, where=where)


def _changeable(path: str) -> tuple[str, ...]:
    segments = parse_path(path)
    if segments[0] in ("spec", "base", "patch"):
        raise SpecError(f"'{segments[0]}' says how the file is read, and cannot be changed")
    return segments


@contextmanager
def _located(origin: Origin, path: str = "") -> Iterator[None]:
    """Give the problems that arise inside this block, and do not know their place, that of `origin`."""
    try:
        yield
    except SpecError as error:
        raise SpecError(
            problem if problem.file or problem.line else origin.problem(problem.message, problem.path or path)
            for problem in error.problems
        ) from None


@contextmanager
def _collecting(problems: list[Problem], origin: Origin, path: str = "") -> Iterator[None]:
    """Add the problems that arise inside this block to `problems`, placed at `origin` unless they know better."""
    try:
        with _located(origin, path):
            yield
    except SpecError as error:
        problems.extend(error.problems)
