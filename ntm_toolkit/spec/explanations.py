"""What pydantic found wrong with a document, in plain words and at the place where it was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ntm_toolkit.spec.errors import Problem, describe
from ntm_toolkit.spec.nodes import Location, Node
from ntm_toolkit.spec.paths import display_path, format_path
from ntm_toolkit.spec.suggestions import did_you_mean

MAX_PROBLEMS = 100

_EXPECTED = {
    "bool": "true or false",
    "date": "a date",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping",
    "model": "a mapping",
    "none": "nothing",
    "path": "a path",
    "set": "a list",
    "string": "a string",
    "tuple": "a list",
}
_WRONG_TYPE = re.compile(rf"({'|'.join(_EXPECTED)})_(?:type|parsing|from_float|required|attributes_type)")

_BOUNDS = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number of at least", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number of at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}

# What pydantic puts into a location where it tried one alternative of a union: a type or the schema of one.
_ALTERNATIVE = re.compile(r"(?:[A-Z].*|.*[\[\](){}<> ].*|bool|int|float|str|none|list|dict|tuple|set|function-.*)")


@dataclass(frozen=True)
class _Finding:
    location: Location
    detail: ErrorDetails
    of_key: bool
    of_alternative: bool


def explain(error: ValidationError, document: Node) -> list[Problem]:
    """Return every error of a validation as a problem, in the order of the document (of very many, the first hundred).

    Args:
        error: from validating `document.plain()`.
        document: where the validated values came from.
    """
    findings = [_placed(detail, document) for detail in error.errors(include_url=False)]
    # Where an alternative of a union got further than its type, what is wrong inside it says more.
    entered = {f.location[:depth] for f in findings if f.of_alternative for depth in range(len(f.location))}
    grouped: dict[tuple[Location, bool], list[_Finding]] = {}
    for finding in findings:
        if not (finding.of_alternative and finding.location in entered):
            grouped.setdefault((finding.location, finding.of_key), []).append(finding)
    problems: list[Problem] = []
    for (location, of_key), group in grouped.items():
        for message in _messages(group):
            origin = document.nearest(location, key=of_key)
            problem = origin.problem(message, _path(document, location))
            if problem not in problems:
                problems.append(problem)
            if len(problems) > MAX_PROBLEMS:
                left = len(grouped) - MAX_PROBLEMS
                return [*_in_order(problems[:MAX_PROBLEMS]), Problem(f"and at least {left} more like these")]
    return _in_order(problems)


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    def place(problem: Problem) -> tuple[bool, str, int, int]:
        return problem.line is None, problem.file or "", problem.line or 0, problem.column or 0

    return sorted(problems, key=place)


def _placed(detail: ErrorDetails, document: Node) -> _Finding:
    """Return an error with the location that its value has in the document."""
    location: list[str | int] = []
    of_alternative = False
    of_key = detail["type"] == "extra_forbidden" or detail.get("ctx", {}).get("at") == "key"
    here: Node | None = document
    for index, segment in enumerate(detail["loc"]):
        last = index == len(detail["loc"]) - 1
        child = here.child(segment) if here else None
        if child is None and last and segment == "[key]":
            of_key = True
        elif child is None and not (last and detail["type"] == "missing") and _ALTERNATIVE.fullmatch(str(segment)):
            of_alternative = True
        else:
            location.append(segment)
            here = child
    return _Finding(tuple(location), detail, of_key, of_alternative)


def _path(document: Node, location: Location) -> str:
    """Return the path under which a problem is reported.

    An item that is nothing but a string goes by its index: the message quotes the string, the index says where it is.
    """
    if location and isinstance(location[-1], int) and isinstance(document.nearest_node(location).value, str):
        above = display_path(document, location[:-1])
        return format_path([above, location[-1]] if above else location[-1:])
    return display_path(document, location)


def _messages(group: Sequence[_Finding]) -> list[str]:
    """Return what is said of the errors at one location, the alternatives of a union in one sentence."""
    alternatives = [_expected(finding.detail) for finding in group if finding.of_alternative]
    if len(group) > 1 and len(alternatives) == len(group) and all(alternatives):
        choices = list(dict.fromkeys(choice for choice in alternatives if choice))
        given = group[0].detail["input"]
        return [f"expected {' or '.join(choices)}, got {describe(given)}{_suggestion([f.detail for f in group])}"]
    return [_message(finding.detail) for finding in group]


def _message(detail: ErrorDetails) -> str:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    expected = _expected(detail)
    if expected is not None:
        return f"expected {expected}, got {describe(given)}{_suggestion([detail])}"
    if kind in _SAID:
        return _SAID[kind](context, given)
    if kind == "extra_forbidden":
        return f"no field is called '{detail['loc'][-1]}' here"
    said = detail["msg"]
    if kind in ("value_error", "assertion_error") and "error" in context:
        return str(context["error"]) or said
    if said.startswith("Input should "):
        return f"this should {said.removeprefix('Input should ')}, got {describe(given)}"
    return said


def _expected(detail: ErrorDetails) -> str | None:
    """Return what pydantic would have taken in place of the value, or None where that is not what is wrong."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return str(context["expected"])
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {_number(context[bound])}"
    matched = _WRONG_TYPE.fullmatch(kind)
    return _EXPECTED[matched[1]] if matched else None


def _suggestion(details: Sequence[ErrorDetails]) -> str:
    given = details[0]["input"]
    if not isinstance(given, str):
        return ""
    choices = [
        choice
        for detail in details
        if detail["type"] in ("literal_error", "enum")
        for choice in re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
    ]
    return did_you_mean(given, choices)


def _number(bound: object) -> object:
    # A field's bound of 1 is 1.0 to pydantic where the field is a float.
    return int(bound) if isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e15 else bound


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


_SAID: dict[str, Callable[[dict[str, Any], object], str]] = {
    "missing": lambda context, given: "this field is required, and missing",
    "finite_number": lambda context, given: f"expected a finite number, got {describe(given)}",
    "int_parsing_size": lambda context, given: f"this number is too large: {describe(given)}",
    "too_short": lambda context, given: (
        f"expected at least {_items(context['min_length'])}, got {context['actual_length']}"
    ),
    "too_long": lambda context, given: (
        f"expected at most {_items(context['max_length'])}, got {context['actual_length']}"
    ),
    "string_too_short": lambda context, given: (
        "expected a string that is not empty"
        if context["min_length"] == 1
        else f"expected at least {context['min_length']} characters, got {describe(given)}"
    ),
    "string_too_long": lambda context, given: (
        f"expected at most {context['max_length']} characters, got {describe(given)}"
    ),
    "string_pattern_mismatch": lambda context, given: (
        f"expected a string like {context['pattern']}, got {describe(given)}"
    ),
}
