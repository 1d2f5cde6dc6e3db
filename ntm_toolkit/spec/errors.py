"""What users are told when something they wrote cannot be: where it is, what it is, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN = 60
_LONGEST_PATH = 400
_LONGEST_MESSAGE = 2000


class ToolkitError(Exception):
    """The base of every error that is meant for the user: `str` of it is the whole message."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    `str` gives `specs/x.yaml:14:11 model.heads.read.addressing.2: no stage is called 'shfit'; did you mean 'shift'?`,
    without the parts that are not known.

    Args:
        message: what is wrong and what would be right, in one sentence without a full stop.
        path: where in the spec, in the path grammar.
        file: the file, or the `-o path=value` that brought the value in.
        line: counted from 1; none for what is in no file.
        column: counted from 1.
    """

    message: str
    path: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        position = self.file or ""
        if self.file and self.line is not None:
            position += f":{self.line}"
            if self.column is not None:
                position += f":{self.column}"
        where = " ".join(part for part in (position, _shortened(self.path, _LONGEST_PATH)) if part)
        message = _shortened(self.message, _LONGEST_MESSAGE)
        return _one_line(f"{where}: {message}" if where else message)


class SpecError(ToolkitError):
    """A spec, or a change to one, that cannot be used; it holds every problem that was found, at least one.

    Args:
        problems: one problem or several; a bare string is a problem whose place is not known.
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not self.problems:
            raise ValueError("a SpecError needs at least one problem")
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        # By default an exception is pickled with its message, which would lose the problems on the way from a worker.
        return type(self), (self.problems,)


def describe(value: object) -> str:
    """Return how a value found in a spec is called in a message: `true`, `'64' (a string)`, `a list of 3`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _shortened(str(value) if not isinstance(value, int) or abs(value) < 10**_SHOWN else "a huge number")
        case str():
            return f"{_shortened(repr(value))} (a string)"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case dict():
            return f"a mapping with {_shortened(', '.join(map(str, value)))}" if value else "an empty mapping"
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Return `a stage`, `an initializer`: a noun as a message names one of its kind."""
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def _one_line(text: str) -> str:
    # What a file says is quoted in messages, and must neither break the line nor reach the terminal as a command.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _shortened(text: str, longest: int = _SHOWN) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
