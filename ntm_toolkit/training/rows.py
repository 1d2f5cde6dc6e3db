"""What a model reached on held-out sequences, as plain data; free of torch, so that runs are listed at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ntm_toolkit.training.plain_data import numbers

EXACT = "exact"
"""The metric by which a task says whether a whole sequence is right: 1 or 0."""


@dataclass(frozen=True)
class Row:
    """What was measured at one setting.

    Attributes:
        axes: the axes of the task that were held fixed; empty where sequences are as in training.
        sequences: how many were measured.
        mean: of each metric over the sequences.
        median: of each metric over the sequences.
        chance: the mean of each metric that a guesser would reach, where the task knows it.
    """

    axes: Mapping[str, int]
    sequences: int
    mean: Mapping[str, float]
    median: Mapping[str, float]
    chance: Mapping[str, float] = field(default_factory=dict)

    @property
    def exact(self) -> float | None:
        """The fraction of sequences without any error, or None where the task does not say."""
        return self.mean.get(EXACT)

    @property
    def label(self) -> str:
        """The setting in words: `length 120`, or `as in training`."""
        return ", ".join(f"{axis} {value}" for axis, value in self.axes.items()) or "as in training"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, from which `from_json` makes it again."""
        return {
            "axes": dict(self.axes),
            "sequences": self.sequences,
            "mean": dict(self.mean),
            "median": dict(self.median),
            "chance": dict(self.chance),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """Return the row that `as_json` wrote, also where JSON has null for what is not finite."""
        metrics = {key: numbers(data[key]) for key in ("mean", "median", "chance")}
        return cls(**{**data, **metrics})
