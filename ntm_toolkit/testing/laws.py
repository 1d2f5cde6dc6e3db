"""What a law is: a name, its contract in one line, and a check that says how a part breaks it.

A *rule* holds for every part of some families; bound to one part it is a *law*, which a test can call.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, TypeVar

_HERE = Path(__file__).resolve().parent


class Subject(Protocol):
    """What a rule is about: a part, and what messages call it."""

    @property
    def label(self) -> str:
        """Return what the part is called, such as `stage jump`."""


S = TypeVar("S", bound=Subject)


class LawFailure(AssertionError):  # noqa: N818 -- as in pytest, what fails is a failure
    """A part that breaks a law.

    Args:
        law: the law's name.
        part: what the part is called.
        message: how it breaks the law, and what would be right.
        example: the smallest example at which it does, in lines of text; empty where none belongs to it.
    """

    def __init__(self, law: str, part: str, message: str, example: str = "") -> None:
        super().__init__(law, part, message, example)
        self.law, self.part, self.message, self.example = law, part, message, example

    def __str__(self) -> str:
        text = f"{self.part} breaks the law '{self.law}': {self.message}"
        return f"{text}\nsmallest example: {self.example}" if self.example else text


class LawSkipped(unittest.SkipTest):
    """A law that cannot be checked for this part, or on this machine; `str` of it says why. pytest reports a skip."""


class BrokenLaw(Exception):  # noqa: N818 -- it never leaves the package
    """Raised by a rule's check: how the part breaks it, and at which example."""

    def __init__(self, message: str, example: str = "") -> None:
        super().__init__(message, example)
        self.message, self.example = message, example


@dataclass(frozen=True)
class Law:
    """A law of one part: call it to check.

    Attributes:
        name: one word or a few, as reports have it.
        contract: what holds, in one line.
        part: what the part is called.
    """

    name: str
    contract: str
    part: str
    check: Callable[[], None]

    def __call__(self) -> None:
        """Check it.

        Raises:
            LawFailure: the part breaks it.
            LawSkipped: it cannot be checked.
        """
        self.check()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Rule(Generic[S]):
    """What holds for every part of some families. Rules that are `first` must hold for the others to make sense."""

    name: str
    contract: str
    test: Callable[[S], None]
    first: bool = False

    def about(self, subject: S) -> Law:
        """Return the law that this rule is for one part."""

        def check() -> None:
            try:
                self.test(subject)
            except BrokenLaw as broken:
                raise LawFailure(self.name, subject.label, broken.message, broken.example) from broken.__cause__
            except LawSkipped:
                raise
            except Exception as error:
                raise LawFailure(self.name, subject.label, told(error)) from error

        return Law(self.name, self.contract, subject.label, check)


def rule(name: str, *, first: bool = False) -> Callable[[Callable[[S], None]], Rule[S]]:
    """Make a rule of a check whose docstring is the contract."""

    def decorate(test: Callable[[S], None]) -> Rule[S]:
        return Rule(name, " ".join((test.__doc__ or "").split()), test, first)

    return decorate


def told(error: BaseException) -> str:
    """Return `it raised ValueError: no such thing (my_stage.py:7)`: the last line that is neither torch's nor ours."""
    lines = str(error).strip().splitlines()
    said = f"it raised {type(error).__name__}" + (f": {lines[0]}" if lines else "")
    where = _raised_at(error.__traceback__)
    return f"{said} ({where})" if where else said


def _raised_at(traceback: TracebackType | None) -> str | None:
    where = None
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if _HERE not in file.parents and not {"torch", "pydantic", "<frozen"} & set(file.parts):
            where = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return where
