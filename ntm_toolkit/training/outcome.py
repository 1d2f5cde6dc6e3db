"""How a training ended, and what it reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ntm_toolkit.training.plain_data import numbers
from ntm_toolkit.training.rows import Row

StopReason = Literal["solved", "budget", "interrupted", "non-finite"]


@dataclass(frozen=True)
class Outcome:
    """How a training ended, and what it reached.

    Attributes:
        solved: whether all stop rules have held at an evaluation; False where there are none.
        stopped_because: what ended it. An interrupted run can go on; one that met a value that is not finite would
            meet it again.
        sequences: how many were trained on.
        metrics: means over the last sequences of training.
        validation: what the stop rules last saw; empty where there are none.
        evaluation: what was reached on held-out sequences; empty unless training ran to its end.
        seconds: how long training took, evaluations included, over all sessions; what was trained twice counts once.
        message: what a user should know beside, such as where a value that is not finite arose.
        finding: that place, as plain data.
        folder: where the run is kept.
        signal: the number of the signal that interrupted it.
    """

    solved: bool
    stopped_because: StopReason
    sequences: int
    metrics: Mapping[str, float]
    validation: list[Row]
    evaluation: list[Row]
    seconds: float
    message: str | None = None
    finding: Mapping[str, Any] | None = None
    folder: Path | None = None
    signal: int | None = None

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to be trained."""
        return self.stopped_because != "interrupted"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, without the evaluation, which has a file of its own, and the folder."""
        return {
            "solved": self.solved,
            "stopped_because": self.stopped_because,
            "sequences": self.sequences,
            "metrics": dict(self.metrics),
            "validation": [row.as_json() for row in self.validation],
            "seconds": self.seconds,
            "message": self.message,
            "finding": None if self.finding is None else dict(self.finding),
            "signal": self.signal,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], evaluation: list[Row], folder: Path | None = None) -> Outcome:
        """Return the outcome that `as_json` wrote."""
        rows = [Row.from_json(row) for row in data["validation"]]
        fields = {**data, "metrics": numbers(data["metrics"]), "validation": rows}
        return cls(**fields, evaluation=evaluation, folder=folder)


@dataclass
class Measured:
    """The newest of what was measured while a model trains.

    Attributes:
        metrics: means over the last sequences of training.
        validation: what the stop rules last saw.
        validated_at: after how many sequences that was.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    validation: list[Row] = field(default_factory=list)
    validated_at: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, from which `from_json` makes it again."""
        rows = [row.as_json() for row in self.validation]
        return {"metrics": dict(self.metrics), "validation": rows, "validated_at": self.validated_at}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measured:
        """Return what `as_json` wrote."""
        rows = [Row.from_json(row) for row in data["validation"]]
        return cls(data["metrics"], rows, data["validated_at"])
