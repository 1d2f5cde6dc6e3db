"""What was found when a part was checked: an outcome for each law, and how it reads on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """What became of one law.

    Attributes:
        law: its name.
        contract: what it says, in one line.
        status: pass, fail or skip.
        message: how the part breaks it, or why it was skipped; empty where it holds.
        example: the smallest example at which the part breaks it, in lines of text.
    """

    law: str
    contract: str
    status: Literal["pass", "fail", "skip"]
    message: str = ""
    example: str = ""

    def lines(self) -> list[str]:
        """Return `PASS law`, `SKIP law: reason`, or `FAIL law: message` with the smallest example below it."""
        said = f"{self.status.upper()} {self.law}" + (f": {self.message}" if self.message else "")
        if not self.example:
            return [said]
        first, *others = self.example.splitlines()
        return [said, f"     smallest example: {first}", *(f"     {line}" for line in others)]


@dataclass(frozen=True)
class Report:
    """What was found of one part.

    Attributes:
        part: what it is called, such as `stage shift (radius=2)`.
        outcomes: of each law.
        unchecked: why nothing could be checked; empty where something was.
    """

    part: str
    outcomes: Sequence[Outcome] = ()
    unchecked: str = ""

    @property
    def failures(self) -> list[Outcome]:
        """The laws that it breaks."""
        return [outcome for outcome in self.outcomes if outcome.status == "fail"]

    @property
    def passed(self) -> bool:
        """Whether it was checked and breaks no law."""
        return not self.unchecked and not self.failures

    def lines(self) -> list[str]:
        """Return the part's name, then a line or more for each law."""
        if self.unchecked:
            return [f"{self.part}: NOT CHECKED: {self.unchecked}"]
        return [self.part, *(f"  {line}" for outcome in self.outcomes for line in outcome.lines())]

    def __str__(self) -> str:
        return "\n".join(self.lines())
